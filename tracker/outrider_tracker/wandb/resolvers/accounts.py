"""Who is who, what this server can do, and the changes that administrators make through the client."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any, Final, TypeVar

from outrider_sidecar import contract
from outrider_tracker.auth.gate import demand
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Pod, Role
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.store import accounts, people
from outrider_tracker.store.projects import visible_projects_condition
from outrider_tracker.wandb.account_nodes import Node, entity_node, node_id, pod_node, user_node
from outrider_tracker.wandb.context import Context, Resolvers

T = TypeVar("T")
Info = Any
# What the client may rely on. What is not named is off, and the client then leaves its fields out of its documents.
FEATURES: Final = {
    "LARGE_FILENAMES": True,
    "ARTIFACT_TAGS": True,
    "CLIENT_IDS": True,
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION": True,
    "MARK_RUN_FILES_UPLOADED": True,
    "EXPAND_DEFINED_METRIC_GLOBS": False,
}
# Every release is welcome: what one of them cannot do is answered where it asks for it.
CLI_VERSIONS: Final = {"max_cli_version": "99.0.0", "min_cli_version": "0.0.1"}
MAX_DESCRIPTION: Final = 500
MAX_USERS: Final = 100
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._@-]+")


def viewer(_root: None, info: Info) -> Node | None:
    """Who asks; null: nobody, or a principal that no client knows (the controller)."""
    context: Context = info.context
    principal = context.principal
    if isinstance(principal, Pod):
        return pod_node(principal)
    if not isinstance(principal, Person):
        return None
    account = context.read(lambda connection: accounts.account_by_id(connection, principal.id))
    return None if account is None else user_node(account)


def server_info(_root: None, _info: Info) -> Node:
    """What this server can do: a constant."""
    features = [{"name": name, "isEnabled": on} for name, on in FEATURES.items()]
    return {"cliVersionInfo": CLI_VERSIONS, "latestLocalVersionInfo": None, "features": features}


def entity(_root: None, info: Info, name: str | None = None) -> Node | None:
    """An entity in which the viewer has a role, or of which it sees a project. Without a name: the viewer's own."""
    context: Context = info.context
    principal = context.principal
    wanted = name or (principal.default_entity if isinstance(principal, Person) else "")
    if isinstance(principal, Pod):
        wanted = name or principal.entity

    def find(connection: sqlite3.Connection) -> accounts.Entity | None:
        found = accounts.find_entity(connection, wanted)
        if found is None or may(principal, Action.READ, Target(found.name)):
            return found
        if isinstance(principal, Pod) and principal.entity == found.name:
            return found
        condition, values = visible_projects_condition(principal)
        seen = connection.execute(
            f"SELECT 1 FROM project WHERE entity = ? AND {condition} LIMIT 1",  # noqa: S608  fixed texts
            (found.name, *values),
        ).fetchone()
        return None if seen is None else found

    found = context.read(find)
    return None if found is None else entity_node(found)


def organization(_root: None, _info: Info, name: str | None = None) -> None:
    """There are none: teams belong to the tracker itself."""


def users(_root: None, info: Info, query: str | None = None, first: int | None = None, **_: Any) -> Node:
    """People by part of a name or e-mail address: all for an administrator, for others those of their own teams."""
    context: Context = info.context
    principal = context.principal
    if not isinstance(principal, Person):
        raise RefusedError(contract.ERROR_FORBIDDEN, "only people look people up")
    shown = None if principal.admin else sorted(principal.roles)
    limit = MAX_USERS if first is None else first
    found = context.read(lambda connection: accounts.search_accounts(connection, query or "", shown, limit))
    edges = [{"node": user_node(account), "cursor": str(account.id)} for account in found]
    return {"edges": edges, "pageInfo": {"hasNextPage": False, "hasPreviousPage": False}}


def user_email(parent: Node, info: Info) -> str | None:
    """For the user itself, those who share a team with it, and administrators."""
    context: Context = info.context
    principal = context.principal
    if parent["row"] is None or not isinstance(principal, Person) or not parent["mail"]:
        return "" if parent["row"] is None else None
    if principal.admin or principal.id == parent["row"]:
        return str(parent["mail"])
    theirs = context.read(lambda connection: accounts.list_roles(connection, parent["row"]))
    return str(parent["mail"]) if any(entity in principal.roles for entity, _ in theirs) else None


def user_api_keys(parent: Node, info: Info) -> Node | None:
    """The keys of a user, by their ids, for the user itself and for administrators."""
    context: Context = info.context
    principal = context.principal
    if parent["row"] is None or not isinstance(principal, Person):
        return None
    if not principal.admin and principal.id != parent["row"]:
        return None
    keys = context.read(lambda connection: people.list_keys(connection, parent["row"]))
    return {"edges": [{"node": _key_node(key)} for key in keys]}


def user_teams(parent: Node, info: Info) -> Node:
    """The entities of a user, its own first: all for itself and for administrators, else those that both are in."""
    context: Context = info.context
    principal = context.principal

    def find(connection: sqlite3.Connection) -> list[accounts.Entity]:
        if isinstance(principal, Pod):
            names = [principal.entity] if parent["row"] is None else []
        else:
            names = [name for name, _ in accounts.list_roles(connection, parent["row"])]
            names = [name for name in names if parent["row"] == _row(principal) or _knows(principal, name)]
        return [found for name in names if (found := accounts.find_entity(connection, name)) is not None]

    return {"edges": [{"node": entity_node(found)} for found in context.read(find)]}


def entity_members(parent: Node, info: Info) -> list[Node]:
    """Who has a role, for those who have one."""
    context: Context = info.context
    if not may(context.principal, Action.READ, Target(parent["name"])):
        return []
    members = context.read(lambda connection: accounts.list_members(connection, parent["name"]))
    return [
        {
            "id": node_id("User", member.account.id),
            "admin": member.role is Role.ADMIN,
            "pending": False,
            "email": member.account.email or None,
            "username": member.account.name,
            "name": member.account.name,
            "photoUrl": None,
            "accountType": "SERVICE" if member.account.service else "MEMBER",
            "role": member.role.value,
            "apiKey": None,
        }
        for member in members
    ]


def entity_user(parent: Node, info: Info) -> Node | None:
    """Whose own entity it is."""
    context: Context = info.context
    if parent["isTeam"]:
        return None
    account = context.read(lambda connection: accounts.find_account(connection, parent["name"]))
    return None if account is None else user_node(account)


# A name of W&B's: the client calls the input `input`.
def generate_api_key(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """One more key of the viewer: the only time that it is shown."""
    context: Context = info.context
    person = _person(context)
    if person.service:
        raise RefusedError(
            contract.ERROR_FORBIDDEN,
            f"{person.name} is a service account: an administrator makes its keys with `outrider-tracker key add`",
        )
    key = people.new_key()
    description = _described(input.get("description") or "")
    made = _change(context, lambda connection: people.add_key(connection, person.name, key, description, context.now))
    return {"apiKey": {**_key_node(made), "name": key}}


def delete_api_key(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """Ends a key: one's own; an administrator anybody's; a team's administrator those of its service accounts."""
    context: Context = info.context
    person = _person(context)
    key = str(input["id"])

    def remove(connection: sqlite3.Connection) -> bool:
        owner = accounts.owner_of_key(connection, key)
        if owner is None:
            raise people.AccountError(f"there is no API key {key[:64]!r}")
        if owner.id != person.id:
            demand(person, Action.ADMINISTER, Target(owner.default_entity if owner.service else ""))
        return people.remove_key(connection, owner.id, key)

    return {"success": _change(context, remove)}


def create_user(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """A person without a key, named after the e-mail address; for the tracker's administrators."""
    context: Context = info.context
    demand(_person(context), Action.ADMINISTER, Target(""))
    email = str(input["email"])
    name = _NO_NAME.sub("-", email.partition("@")[0]).strip("-.")[:63]

    def make(connection: sqlite3.Connection) -> accounts.Account | None:
        if accounts.account_by_address(connection, email) is not None:
            raise people.AccountError(f"there is already a user with the e-mail address {email[:200]}")
        person = Person(name, bool(input.get("admin")), email=email)
        people.check_new_name(connection, name)
        return accounts.account_by_id(connection, people.put_person(connection, person, None, context.now))

    made = _change(context, make)
    return {"user": None if made is None else user_node(made)}


def create_team(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """A team; its administrator is who is named, else who asks. For the tracker's administrators."""
    context: Context = info.context
    person = _person(context)
    demand(person, Action.ADMINISTER, Target(""))
    name, admin = str(input["teamName"]), str(input.get("teamAdminUserName") or person.name)

    def make(connection: sqlite3.Connection) -> accounts.Entity | None:
        people.make_team(connection, name, context.now)
        people.put_role(connection, admin, name, Role.ADMIN, context.now)
        return accounts.find_entity(connection, name)

    made = _change(context, make)
    return {"entity": None if made is None else entity_node(made)}


def create_invite(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """Makes a user a member at once: who has an account here need not be asked. For the team's administrators."""
    context: Context = info.context
    team = str(input["entityName"])
    demand(_person(context), Action.ADMINISTER, Target(team))
    address = str(input.get("username") or input.get("email") or "")
    role = Role.ADMIN if input.get("admin") else Role.MEMBER

    def invite(connection: sqlite3.Connection) -> accounts.Account:
        people.require_team(connection, team)
        account = accounts.account_by_address(connection, address)
        if account is None or account.disabled is not None:
            raise people.AccountError(f"there is no user {address[:200]!r}: an administrator makes accounts")
        if any(member.account.id == account.id for member in accounts.list_members(connection, team)):
            raise people.AccountError(f"{account.name} is already a member of {team}")
        people.put_role(connection, account.name, team, role, context.now)
        return account

    account = _change(context, invite)
    invited = {"id": node_id("Invite", f"{team}:{account.name}"), "name": account.name, "createdAt": context.now}
    return {"invite": {**invited, "email": account.email or None, "toUser": user_node(account)}}


def delete_invite(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """Ends a membership. For the team's administrators, and for the member itself."""
    context: Context = info.context
    person = _person(context)
    team, member = str(input.get("entityName") or ""), str(input.get("id") or "")
    if member != node_id("User", person.id):
        demand(person, Action.ADMINISTER, Target(team))

    def remove(connection: sqlite3.Connection) -> None:
        for each in accounts.list_members(connection, team):
            if node_id("User", each.account.id) == member:
                accounts.remove_member(connection, team, each.account.name, context.now)
                return
        raise people.AccountError(f"there is no such member of {team[:64]!r}")

    _change(context, remove)
    return {"success": True}


def create_service_account(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """A service account without a key, named after the description. For the team's administrators."""
    context: Context = info.context
    team = str(input["entityName"])
    demand(_person(context), Action.ADMINISTER, Target(team))
    description = _described(str(input["description"]))
    made = _change(
        context, lambda connection: accounts.describe_service_account(connection, team, description, context.now)
    )
    return {"user": user_node(made)}


def _person(context: Context) -> Person:
    """Who asks, where only people may ask. RefusedError: it is nobody, or no person."""
    if isinstance(context.principal, Person):
        return context.principal
    raise RefusedError(contract.ERROR_FORBIDDEN, "accounts are changed by people, with an API key of their own")


def _change(context: Context, job: Callable[[sqlite3.Connection], T]) -> T:
    """Runs the job in the writer; what cannot be done is final for every client (409), and a sentence says why."""
    try:
        return context.write(job)
    except people.AccountError as error:
        raise RefusedError(contract.ERROR_FRAME, str(error), status=409) from None


def _described(text: str) -> str:
    if len(text) > MAX_DESCRIPTION:
        raise RefusedError(contract.ERROR_FRAME, f"a description has at most {MAX_DESCRIPTION} characters", status=409)
    return text


def _key_node(key: people.Key) -> Node:
    return {"id": key.id, "name": key.id, "description": key.description or None, "createdAt": key.created}


def _row(principal: Any) -> int | None:
    return principal.id if isinstance(principal, Person) else None


def _knows(principal: Any, entity: str) -> bool:
    return isinstance(principal, Person) and (principal.admin or entity in principal.roles)


RESOLVERS: Final[Resolvers] = {
    "Query.viewer": viewer,
    "Query.serverInfo": server_info,
    "Query.entity": entity,
    "Query.organization": organization,
    "Query.users": users,
    "User.email": user_email,
    "User.apiKeys": user_api_keys,
    "User.teams": user_teams,
    "Entity.members": entity_members,
    "Entity.user": entity_user,
    "Mutation.generateApiKey": generate_api_key,
    "Mutation.deleteApiKey": delete_api_key,
    "Mutation.createUser": create_user,
    "Mutation.createTeam": create_team,
    "Mutation.createInvite": create_invite,
    "Mutation.deleteInvite": delete_invite,
    "Mutation.createServiceAccount": create_service_account,
}
