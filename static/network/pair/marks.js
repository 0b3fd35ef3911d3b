// What stands behind the candles: stretches that are missing, and bars without a trade.

import { faded } from "./colors.js";

const HOLE_OPACITY = 0.22;
const QUIET_WIDTH = 2;
const QUIET_HEIGHT = 7;

/** A primitive of Lightweight Charts, one for each pane. */
export class Marks {
  constructor(chart) {
    this.scale = chart.timeScale();
    this.stretches = this.bars = [];
    this.view = { zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) };
  }

  attached({ requestUpdate }) {
    this.requestUpdate = requestUpdate;
  }

  paneViews() {
    return [this.view];
  }

  /** `stretches` are [from, to) and `bars` single ones, by their places on the time axis. */
  show(stretches, bars, colors) {
    Object.assign(this, { stretches, bars, colors });
    this.requestUpdate?.();
  }

  draw(target) {
    target.useMediaCoordinateSpace(({ context, mediaSize: { width, height } }) => {
      const half = (this.x(1) - this.x(0)) / 2; // of a bar's width
      context.fillStyle = faded(this.colors.hole, HOLE_OPACITY);
      for (const [from, to] of this.stretches) {
        const left = Math.max(0, this.x(from) - half);
        const right = Math.min(width, this.x(to) - half);
        if (right > left) context.fillRect(left, 0, right - left, height);
      }
      context.fillStyle = this.colors.quiet;
      for (const bar of this.bars) {
        const left = this.x(bar) - QUIET_WIDTH / 2;
        context.fillRect(left, height - QUIET_HEIGHT, QUIET_WIDTH, QUIET_HEIGHT);
      }
    });
  }

  x(place) {
    return this.scale.logicalToCoordinate(place);
  }
}
