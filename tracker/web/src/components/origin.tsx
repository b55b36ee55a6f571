/** Where a tab of a Run's page takes its data from: what the training code sent through the W&B client, or what its pods were seen to do. */
export type Origin = "code" | "pods";

export function OriginSwitch({ chosen, choose }: { chosen: Origin; choose: (origin: Origin) => void }) {
  return (
    <div className="group origin" role="group" aria-label="From">
      <button type="button" aria-pressed={chosen === "code"} onClick={() => choose("code")} title="What the training code logs through the W&B client">
        Training code
      </button>
      <button type="button" aria-pressed={chosen === "pods"} onClick={() => choose("pods")} title="What the sidecars see of every rank">
        Pods
      </button>
    </div>
  );
}
