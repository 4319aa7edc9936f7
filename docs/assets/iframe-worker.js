// A browser runs no worker on a page that was opened as a file. The search's worker runs in a hidden frame there.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.srcdoc = `<script>
        const told = window.postMessage.bind(window)
        self.postMessage = data => parent.postMessage(data, "*")
        self.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {
          const script = document.createElement("script")
          script.src = url
          script.onload = done
          script.onerror = failed
          document.body.appendChild(script)
        })), Promise.resolve())
      </scr` + `ipt><body><script src="${url}"></scr` + `ipt></body>`
      this.frame = frame
      this.loaded = new Promise(done => { frame.onload = done })
      addEventListener("message", event => {
        if (event.source !== frame.contentWindow) return
        this.dispatchEvent(new MessageEvent("message", { data: event.data }))
      })
      document.body.appendChild(frame)
    }
    postMessage(data) {
      this.loaded.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data, source: window })))
    }
    terminate() { this.frame.remove() }
  }
  window.Worker = window.IFrameWorker
}
