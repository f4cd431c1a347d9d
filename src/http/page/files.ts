/**
 * The page's files, embedded as text: they need no read permission and work however the program is distributed. marked
 * and DOMPurify are the npm packages' own files.
 */
import dompurify from "dompurify" with { type: "text" };
import marked from "marked" with { type: "text" };
import activity from "./browser/activity.js" with { type: "text" };
import api from "./browser/api.js" with { type: "text" };
import chart from "./browser/chart.js" with { type: "text" };
import chat from "./browser/chat.js" with { type: "text" };
import completion from "./browser/completion.js" with { type: "text" };
import composer from "./browser/composer.js" with { type: "text" };
import content from "./browser/content.css" with { type: "text" };
import conversations from "./browser/conversations.js" with { type: "text" };
import dom from "./browser/dom.js" with { type: "text" };
import endInSight from "./browser/end_in_sight.js" with { type: "text" };
import events from "./browser/events.js" with { type: "text" };
import exporting from "./browser/export.js" with { type: "text" };
import history from "./browser/history.js" with { type: "text" };
import index from "./browser/index.html" with { type: "text" };
import live from "./browser/live.js" with { type: "text" };
import main from "./browser/main.js" with { type: "text" };
import markdown from "./browser/markdown.js" with { type: "text" };
import message from "./browser/message.js" with { type: "text" };
import models from "./browser/models.js" with { type: "text" };
import style from "./browser/page.css" with { type: "text" };
import settings from "./browser/settings.js" with { type: "text" };
import status from "./browser/status.js" with { type: "text" };
import streamingText from "./browser/streaming_text.js" with { type: "text" };
import tabs from "./browser/tabs.js" with { type: "text" };

/** A served file. */
export interface PageFile {
  readonly text: string;
  readonly contentType: string;
}

/** The page itself. */
export const PAGE: PageFile = { text: index, contentType: "text/html; charset=utf-8" };

/** Files loaded by the page, by name. */
export const PAGE_PARTS: Readonly<Record<string, PageFile>> = {
  "page.css": { text: style, contentType: "text/css; charset=utf-8" },
  "content.css": { text: content, contentType: "text/css; charset=utf-8" },
  ...modules({
    activity,
    api,
    chart,
    chat,
    completion,
    composer,
    conversations,
    dom,
    dompurify,
    end_in_sight: endInSight,
    events,
    export: exporting,
    history,
    live,
    main,
    markdown,
    marked,
    message,
    models,
    settings,
    status,
    streaming_text: streamingText,
    tabs,
  }),
};

function modules(texts: Readonly<Record<string, unknown>>): Record<string, PageFile> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      if (typeof text !== "string") throw new TypeError(`The page's ${name}.js is not text`);
      return [`${name}.js`, { text, contentType: "text/javascript; charset=utf-8" }];
    }),
  );
}
