// What the server sends while the page is visible. A lost connection is shown, and made again.

const RETRY = 2000;

class Updates {
  // `address` returns where to listen, `onUpdate` takes each update.
  constructor(address, onUpdate) {
    Object.assign(this, { address, onUpdate, source: null });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.open());
    this.open();
  }

  open() {
    if (this.source || document.hidden) return;
    clearTimeout(this.timer);
    const source = new EventSource(this.address());
    this.source = source;
    const lost = document.getElementById("connection");
    source.addEventListener("open", () => { lost.hidden = true; });
    source.addEventListener("message", (event) => {
      this.onUpdate(JSON.parse(event.data));
      document.documentElement.dataset.updated = String(Number(document.documentElement.dataset.updated ?? 0) + 1);
    });
    // What is missed meanwhile is asked for anew, from what the page has then.
    source.addEventListener("error", () => {
      lost.hidden = false;
      this.close();
      this.timer = setTimeout(() => this.open(), RETRY);
    });
  }

  close() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
  }
}
