/** All of Jinja's filters that templates may use. */
import { LIST_FILTERS } from "./list_filters.ts";
import type { Apply } from "./signature.ts";
import { TEXT_FILTERS } from "./text_filters.ts";

export const FILTERS: ReadonlyMap<string, Apply> = new Map([...TEXT_FILTERS, ...LIST_FILTERS]);
