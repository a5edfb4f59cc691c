// An event function: called with a Buffer, answers with text, a Buffer or an object, which becomes JSON.

exports.handler = async (event, context) => {
  const { name = 'world' } = JSON.parse(event.length ? event.toString() : '{}');
  context.logger.info(`greeting ${name}`);
  return { greeting: `Hello, ${name}!`, requestId: context.requestId };
};
