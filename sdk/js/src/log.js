// Lines for the coordinator's log. The guest and the tests set where they go; else they go to stderr.

const toStderr = (level, message) => console.error(`${level}: ${message}`);

let sink = toStderr;

/** Sends what is written from now on to `next`; returns what sends it back to where it went before. */
export function redirect(next) {
  const before = sink;
  sink = next;
  return () => {
    sink = before;
  };
}

function write(level, message) {
  sink(level, String(message).toWellFormed());
}

export const log = Object.freeze({
  debug: (message) => write("debug", message),
  info: (message) => write("info", message),
  warn: (message) => write("warn", message),
});
