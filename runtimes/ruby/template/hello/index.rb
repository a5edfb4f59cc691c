# frozen_string_literal: true

# An event function: called with a string of bytes, answers with a string or anything that JSON can hold.

require 'json'

def handler(event, context)
  name = event.empty? ? 'world' : JSON.parse(event).fetch('name', 'world')
  puts "greeting #{name}"
  { greeting: "Hello, #{name}!", requestId: context.request_id }
end
