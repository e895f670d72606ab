// The component's exports; `carrara:project` is the author's module.

import "./surroundings.js";
import * as project from "carrara:project";
import { answer, WORLD } from "../admission.js";
import { checked, configurationOf } from "./policy.js";

const its = checked(project.default, WORLD);

export const configuration = configurationOf(its);
export const marbleAdmitter = { admit: (raw) => answer(its, raw) };
