/** The errors by which a request is refused; every other is a crash. */
import { InvalidRequestError } from "../../src/inference/errors.ts";
import { OpsError } from "../../src/surfaces/ops.ts";

export const DISPATCH_ERRORS: readonly (abstract new (...args: never[]) => Error)[] = [InvalidRequestError, OpsError];
