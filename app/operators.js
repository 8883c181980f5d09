// What the App can do for a person, but offers no operator for.
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

  // The App keeps the sample that is open; reloading the grid or the dataset does not change what it shows.
  class UpdateSample extends Operator {
    get config() {
      return new OperatorConfig({ name: "update_sample", label: "Show a sample as it is now", unlisted: true });
    }

    useHooks() {
      return { refresh: window.__fos__.useRefreshSample() };
    }

    async execute({ hooks, params }) {
      hooks.refresh(params.sample);
    }
  }

  registerOperator(OpenUrl, "@tator/sync");
  registerOperator(UpdateSample, "@tator/sync");
})();
