// The one thing that the App cannot do for a Python operator: open an address in a new tab.
(function () {
  const { Operator, OperatorConfig, registerOperator } = window.__foo__;

  class OpenUrl extends Operator {
    get config() {
      return new OperatorConfig({ name: "open_url", label: "Open an address in a new tab", unlisted: true });
    }

    async execute({ params }) {
      if (!/^https?:\/\//.test(params.url)) {
        throw new Error("Only http and https addresses are opened.");
      }
      const tab = window.open(params.url, "_blank");
      if (!tab) {
        throw new Error(`The browser did not let a new tab open. Allow pop-ups for this page, or open ${params.url}`);
      }
      tab.opener = null;
    }
  }

  registerOperator(OpenUrl, "@tator/sync");
})();
