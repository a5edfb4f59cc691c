// An HTTP function: the request is an http.IncomingMessage, the response has setStatusCode, setHeader and send.

const escape = (text) => text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);

exports.handler = (req, resp, context) => {
  const query = new URLSearchParams(req.queries).toString();
  resp.setHeader('Content-Type', 'text/html; charset=utf-8');
  resp.send(`<!doctype html><title>pyfc</title><h1>${escape(req.path)}</h1><p>${escape(query) || 'no query'}</p>\n`);
};
