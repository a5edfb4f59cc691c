// Sends an event with the official SDK for JavaScript, unmodified, structured and binary: ADDRESS.
"use strict";

const { CloudEvent, HTTP } = require("cloudevents");

async function main(address) {
  for (const [number, form] of [HTTP.structured, HTTP.binary].entries()) {
    const event = new CloudEvent({
      id: `javascript-${number}`, source: "sdk", type: "sdk:javascript", subject: "caf\u00e9 1", data: { n: number },
    });
    const message = form(event);
    const answer = await fetch(`${address}/pyfc/events`, { method: "POST", headers: message.headers, body: message.body });
    process.stdout.write(`${answer.status}\t${await answer.text()}`);
  }
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
