// A policy: what the author's module exports by default.

import { describe } from "./words.js";

export class Policy {
  constructor(world, decide, check) {
    if (typeof decide !== "function") throw new TypeError(`a policy is a function, not ${describe(decide)}`);
    if (check !== undefined && typeof check !== "function") {
      throw new TypeError(`the check of settings is a function, not ${describe(check)}`);
    }
    this.world = world;
    this.decide = decide;
    this.check = check;
    Object.freeze(this);
  }
}
