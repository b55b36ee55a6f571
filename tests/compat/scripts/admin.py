"""What an administrator changes, and what a person may do with keys of its own."""

import sys

import wandb
from reporting import raised, report

tag, member_key = sys.argv[1:3]
team, machine = f"team-{tag}", "Nightly builds"
api = wandb.Api(timeout=30)
out = {}
made = api.create_team(team)
out["members"] = [[member.username, member.admin] for member in made.members]
created = api.create_user(f"new-{tag}@x.org")
out["created"] = [created.username, created.email, created.admin]
out["invited"] = made.invite(f"new-{tag}@x.org")
out["again"] = made.invite(f"new-{tag}@x.org")
out["nobody"] = made.invite("nobody-at-all")
account = made.create_service_account(machine)
out["service"] = [account.account_type, account.admin]
made.load(True)
out["after"] = sorted(member.username for member in made.members)
out["removed"] = [member.delete() for member in made.members if member.username == created.username]
made.load(True)
out["left"] = sorted(member.username for member in made.members)
out["found"] = api.user(f"new-{tag}@x.org").username
out["users"] = sorted(user.username for user in api.users(f"new-{tag}"))
out["not found"] = api.user("nobody-at-all")

mine = wandb.Api(api_key=member_key, timeout=30)
me = mine.viewer
before = me.api_keys
try:
    key = me.generate_api_key("from the test")
except wandb.errors.AuthenticationError:
    out["keys"] = None
else:
    me = wandb.Api(api_key=member_key, timeout=30).viewer
    out["keys"] = [len(before), len(me.api_keys), len(key), key in me.api_keys]
    out["new key"] = wandb.Api(api_key=key, timeout=30).viewer.username
    new = [name for name in me.api_keys if name not in before]
    out["deleted"] = me.delete_api_key(new[0])
    out["old key"] = raised(lambda: wandb.Api(api_key=key, timeout=30).viewer.username)
out["member makes a team"] = raised(lambda: mine.create_team(f"no-{tag}"))
try:  # older clients raise where newer ones answer False
    out["member invites"] = mine.team("crew").invite("outsider")
except wandb.errors.CommError:
    out["member invites"] = False
out["crew"] = sorted(member.username for member in mine.team("crew").members)
report(out)
