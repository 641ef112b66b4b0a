// SPDX-License-Identifier: Apache-2.0
// A producer and a consumer of kafkajs: clients.js SETTINGS USER TOPIC. They tell what happens to
// them like JavaClients; the end of the standard input ends the producer.
"use strict";

const { readFileSync } = require("fs");
const { setTimeout: pause } = require("timers/promises");
const { Kafka, logLevel } = require("kafkajs");

const [settingsFile, user, topic] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(settingsFile, "utf8"));
const PAUSE_MS = 50; // between two messages

const kafka = new Kafka({
  brokers: [settings["bootstrap.servers"]],
  ssl: {
    ca: readFileSync(settings["ssl.ca.location"]),
    cert: readFileSync(settings["ssl.certificate.location"]),
    key: readFileSync(settings["ssl.key.location"]),
  },
  logLevel: logLevel.ERROR,
  // The default of 5 gives up after some 9 seconds.
  retry: { retries: 30 },
});

function tell(client, event, detail) {
  console.log(`${client} ${event} ${detail}`);
}

let producing = true;
process.stdin.on("end", () => {
  producing = false;
});
process.stdin.resume();

async function produce() {
  const producer = kafka.producer({ idempotent: true });
  let connected = false;
  let sent = 0;
  while (producing) {
    try {
      if (!connected) {
        await producer.connect();
        connected = true;
      }
      await producer.send({ topic, messages: [{ value: String(sent) }] });
      tell("producer", "did", sent++);
    } catch (error) {
      tell("producer", "error", error);
    }
    await pause(PAUSE_MS);
  }
  tell("producer", "sent", sent);
}

async function consume() {
  const consumer = kafka.consumer({ groupId: `${user}:${topic}:classic` });
  // What kafkajs does not come back from by itself.
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    tell("classic", restart ? "restart" : "error", error);
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => tell("classic", "did", message.value),
  });
}

tell("all", "begin", "");
produce().catch((error) => tell("producer", "error", error));
consume().catch((error) => tell("classic", "error", error));
