/** All of them together: svctl loads this, and only for one of these words. */
import type { Eye } from "./eye.ts";
import * as graph from "./graph.ts";
import * as logs from "./logs.ts";
import * as metrics from "./metrics.ts";
import * as plot from "./plot.ts";
import * as top from "./top.ts";
import * as watch from "./watch.ts";

export const eyes: Readonly<Record<string, Eye>> = { graph, logs, metrics, plot, top, watch };
