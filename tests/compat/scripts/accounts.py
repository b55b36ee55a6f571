"""A team's entity, an entity of others, a service account."""

import wandb
from reporting import project, raised, report

P = project()
api = wandb.Api(timeout=30)
name = f"crew-{P}".replace(".", "-")
api.create_team(name)
out = {"team": name}
run = wandb.init(entity=name, project=P, id="in-team")
run.log({"x": 1})
out["entity"], out["path"] = run.entity, run.path
run.finish()
read = wandb.Api(timeout=30).run(f"{name}/{P}/in-team")
out["read"] = {"state": read.state, "rows": len(list(read.scan_history()))}
out["foreign"] = raised(wandb.init, entity="nobody-s-entity", project=P, settings=wandb.Settings(init_timeout=30))
report(out)
