# frozen_string_literal: true

# An HTTP function: a Rack application.

def escape(text)
  text.gsub(/[&<>"]/) { |each| "&##{each.ord};" }
end

def handler(env)
  query = env['QUERY_STRING'].empty? ? 'no query' : env['QUERY_STRING']
  page = "<!doctype html><title>pyfc</title><h1>#{escape(env['PATH_INFO'])}</h1><p>#{escape(query)}</p>\n"
  [200, { 'Content-Type' => 'text/html; charset=utf-8' }, [page]]
end
