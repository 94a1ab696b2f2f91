// Clients of Socket.IO, all of a play in one process: socket.io-client as it is, over WebSocket.
//
// What they are to do comes on stdin, what befalls them goes to stdout, a line of JSON each; when
// stdin ends, so do they. Each has the number of its guest.
"use strict";

const { createInterface } = require("node:readline");
const { io } = require("socket.io-client");

const ANSWER = 60_000; // milliseconds for any answer, as with our own clients
const AGAIN = 300; // milliseconds until a join is asked for again

const sockets = new Map();

function tell(guest, got, more = {}) {
  process.stdout.write(`${JSON.stringify({ guest, got, ...more })}\n`);
}

function join(guest, socket, room) {
  const visit = socket.id;
  socket.timeout(ANSWER).emit("join", room, (error) => {
    if (!socket.connected || socket.id !== visit) return;
    if (error) setTimeout(join, AGAIN, guest, socket, room);
    else tell(guest, "entered", { room });
  });
}

function open({ guest, url, rooms }) {
  const socket = io(url, { transports: ["websocket"], forceNew: true });
  sockets.set(guest, socket);
  socket.on("connect", () => {
    tell(guest, "connected");
    for (const room of rooms) {
      // Who was recovered is still in its rooms, and hears at once what it has missed.
      if (socket.recovered) tell(guest, "entered", { room });
      else join(guest, socket, room);
    }
  });
  socket.on("disconnect", (reason) => tell(guest, "gone", { reason }));
  socket.on("said", (room, word, heard) => {
    tell(guest, "heard", { room, by: word.by, number: word.number });
    if (typeof heard === "function") heard(); // else it is where recovery has come to
  });
}

function say({ guest, room, by, number, size, all }) {
  const word = { by, number, more: "x".repeat(size) };
  sockets.get(guest)?.timeout(ANSWER).emit("say", room, word, all, (error, receipt) => {
    if (!error) tell(guest, "answered", { by, number, ...receipt });
  });
}

function close({ guest }) {
  sockets.get(guest)?.disconnect();
  sockets.delete(guest);
}

const deeds = { open, say, close };
const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  const order = JSON.parse(line);
  deeds[order.do](order);
});
orders.on("close", () => process.exit());
