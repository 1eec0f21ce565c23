// Search runs in a worker, and browsers start none for pages that are opened from disk. There, this
// stands in for one: the worker's script runs in a hidden frame of the page.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    #waiting = [];

    constructor(address) {
      super();
      const start = () => {
        const frame = document.createElement("iframe");
        frame.hidden = true;
        frame.title = "search";
        document.body.append(frame);
        const inside = frame.contentWindow;
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        const script = inside.document.createElement("script");
        script.src = address;
        script.onload = () => {
          this.postMessage = (data) =>
            inside.dispatchEvent(new inside.MessageEvent("message", { data }));
          this.#waiting.splice(0).forEach((data) => this.postMessage(data));
        };
        inside.document.body.append(script);
      };
      if (document.body) start();
      else addEventListener("DOMContentLoaded", start);
    }

    postMessage(data) {
      this.#waiting.push(data);
    }
  };
  window.Worker = window.IFrameWorker;
}
