// The search runs in a worker, which browsers do not start from disk. There, a hidden frame runs it.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      inner.importScripts = (...urls) => Promise.all(urls.map((each) => this.#run(inner, each)));
      this.#inner = inner;
      this.#ready = this.#run(inner, url);
    }
    #inner;
    #ready;
    #run(inner, url) {
      return new Promise((resolve, reject) => {
        const script = inner.document.createElement("script");
        script.src = new URL(url, location.href).href;
        script.onload = resolve;
        script.onerror = reject;
        inner.document.body.append(script);
      });
    }
    postMessage(data) {
      this.#ready.then(() => {
        const event = new MessageEvent("message", { data });
        this.#inner.dispatchEvent(event);
      });
    }
    terminate() {
      this.#inner.frameElement.remove();
    }
  };
}
