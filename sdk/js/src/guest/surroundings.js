// What a component lacks, so that touching it is an error with a text and not a trap without one. Loaded before the policy.

import host from "carrara:policy/host@1.0.0";
import { log, redirect } from "../log.js";

redirect((level, message) => host.log(level, message));

const line = (parts) => parts.map(String).join(" ");

globalThis.console = Object.freeze({
  debug: (...parts) => log.debug(line(parts)),
  log: (...parts) => log.info(line(parts)),
  info: (...parts) => log.info(line(parts)),
  warn: (...parts) => log.warn(line(parts)),
  error: (...parts) => log.warn(line(parts)),
});

function noClock() {
  throw new Error("a policy has no clock; use context.now, in Unix seconds");
}

const HostDate = globalThis.Date;

globalThis.Date = class Date extends HostDate {
  constructor(...parts) {
    if (parts.length === 0) noClock();
    super(...parts);
  }

  static now() {
    noClock();
  }
};

Math.random = () => {
  throw new Error("a policy has no randomness: the same question has the same answer");
};
