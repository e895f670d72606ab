// The component's exports; `carrara:project` is the author's module.

import "./surroundings.js";
import * as project from "carrara:project";
import { answer, WORLD } from "../authorization.js";
import { checked, configurationOf } from "./policy.js";

const its = checked(project.default, WORLD);

export const configuration = configurationOf(its);
export const roleAuthorizer = { authorize: (raw) => answer(its, raw) };
