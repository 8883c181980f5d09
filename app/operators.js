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

  // The panel forgets its map when it appears for the first time, so the map can only be chosen once it is there.
  class ShowMap extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_map", label: "Show a map of embeddings", unlisted: true });
    }

    useHooks() {
      return {
        spaces: window.__fosp__.useSpaces(window.__fos__.constants.FIFTYONE_GRID_SPACES_ID).spaces,
        remember: window.__fosp__.useSetPanelStateById(true),
      };
    }

    async execute({ hooks: { spaces, remember }, params }) {
      const { SpaceNode, Layout, getNodes } = window.__fosp__;
      let panel = getNodes(spaces.root).find((node) => node.type === "Embeddings");
      if (panel) {
        spaces.setNodeActive(panel);
      } else {
        const beside = getNodes(spaces.root).find((node) => node.isPanelContainer());
        panel = new SpaceNode();
        panel.type = "Embeddings";
        spaces.addNodeAfter(beside, panel, true);
        spaces.splitLayout(beside, Layout.Horizontal, panel);
      }
      const shown = () => document.querySelector(".emb-plot-title")?.firstChild?.textContent === params.key;
      for (const end = Date.now() + 30000; Date.now() < end && !shown(); ) {
        if (document.querySelector("[data-cy=embeddings-runs-page], .emb-plot")) {
          await remember(panel.id, (state) => ({ ...state, openKey: params.key, colorField: params.color ?? null }));
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  // The App's own operator knows the saved views only that were there when the page came up.
  class ShowView extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_view", label: "Show a saved view", unlisted: true });
    }

    useHooks() {
      return { show: window.recoil.useSetRecoilState(window.__fos__.viewName) };
    }

    async execute({ hooks, params }) {
      hooks.show(params.slug);
    }
  }

  registerOperator(OpenUrl, "@tator/sync");
  registerOperator(UpdateSample, "@tator/sync");
  registerOperator(ShowMap, "@tator/sync");
  registerOperator(ShowView, "@tator/sync");
})();
