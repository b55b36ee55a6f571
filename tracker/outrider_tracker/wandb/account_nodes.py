"""Values of the GraphQL types User and Entity, which fields of runs and projects give, too.

A value is a mapping with the plain fields by their GraphQL names; what costs a query has a resolver in
resolvers/accounts.py.
"""

from __future__ import annotations

import base64
import sqlite3
from typing import Any

from outrider_tracker.core.principals import Pod
from outrider_tracker.store.accounts import Account, Entity, account_by_id, find_entity

Node = dict[str, Any]


def node_id(kind: str, name: str | int) -> str:
    """An opaque id, the same for the same thing."""
    return base64.b64encode(f"{kind}:{name}".encode()).decode()


def user_node(account: Account) -> Node:
    """A value of type User. `row` and `mail` are for the resolvers."""
    return {
        "__typename": "User",
        "row": account.id,
        "id": node_id("User", account.id),
        "name": account.name,
        "username": account.name,
        "mail": account.email,
        "admin": account.admin,
        "flags": "{}",
        "entity": account.default_entity,
        "photoUrl": None,
        "accountType": "SERVICE" if account.service else "MEMBER",
        "deletedAt": account.disabled,
        "organizations": [],
    }


def pod_node(pod: Pod) -> Node:
    """What a pod sees of itself: a user of its entity who has no account."""
    return _machine(node_id("Pod", pod.uid), pod.name or pod.uid, pod.entity)


def pods_node(entity: str) -> Node:
    """Who made the runs of an entity's pods: clients cannot read a run that nobody made."""
    return _machine(node_id("Pods", entity), entity, entity)


def _machine(identity: str, name: str, entity: str) -> Node:
    return {
        "__typename": "User",
        "row": None,
        "id": identity,
        "name": name,
        "username": name,
        "mail": None,
        "admin": False,
        "flags": "{}",
        "entity": entity,
        "photoUrl": None,
        "accountType": "SERVICE",
        "deletedAt": None,
        "organizations": [],
    }


def user_of(connection: sqlite3.Connection, user: int) -> Node | None:
    """The User of this row, as of a run's author."""
    account = account_by_id(connection, user)
    return None if account is None else user_node(account)


def entity_node(entity: Entity) -> Node:
    """A value of type Entity."""
    return {
        "__typename": "Entity",
        "id": node_id("Entity", entity.name),
        "name": entity.name,
        "available": False,
        "photoUrl": None,
        "limits": None,
        "readOnly": False,
        "readOnlyAdmin": False,
        "isTeam": entity.team,
        "entityType": "team" if entity.team else "user",
        "privateOnly": False,
        "storageBytes": 0,
        "codeSavingEnabled": True,
        "defaultAccess": "PRIVATE",
        "isPaid": True,
        "organization": None,
    }


def entity_of(connection: sqlite3.Connection, name: str) -> Node | None:
    """The Entity of that name, without asking who may see it: for things that are seen already."""
    entity = find_entity(connection, name)
    return None if entity is None else entity_node(entity)
