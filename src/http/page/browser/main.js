/** Entry point of the page: its parts, and the stream they all follow. */
import { ActivityView } from "./activity.js";
import { ChatView } from "./chat.js";
import { EventsView } from "./events.js";
import { follow } from "./live.js";
import { ModelsView } from "./models.js";
import { StatusLine } from "./status.js";
import { startTabs } from "./tabs.js";

startTabs();
const status = new StatusLine();
const chat = new ChatView();
const models = new ModelsView((able) => chat.offer(able));
const activity = new ActivityView();
const events = new EventsView();

follow((line) => {
  status.take(line);
  models.take(line);
  events.take(line);
  if (line.type === "activity") activity.take(line.activity);
  else if (line.type !== "event") activity.take(null);
});
