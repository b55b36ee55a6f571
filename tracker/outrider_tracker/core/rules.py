"""The one rule of who may do what. Pure; every door asks it, and one matrix tests it (docs/accounts.md).

| | reads | writes | deletes | administers |
|---|---|---|---|---|
| tracker admin | all | all | all | all |
| entity admin | the entity | the entity | the entity | the entity |
| member | team's and public projects, own private ones | the same | the same | projects of its own making |
| viewer | team's and public projects, own private ones | | | |
| any person | public projects | | | |
| pod | its project, runs it may write | runs of its Run and that Run's group | | |
| controller | | | | |

Besides: sources take data from their own pod and from whoever may write in the entity; the controller (and the
tracker's admin) writes Runs and joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from outrider_tracker.core.principals import Controller, Person, Pod, Principal, Role


class Action(StrEnum):
    """What doors do."""

    READ = "read"  # Runs, ranks, streams, series, files, projects
    WRITE = "write"  # log runs and edit them, make projects
    DELETE = "delete"  # runs and their files
    INGEST = "ingest"  # declare a source, append to it, upload its files, hear its directives
    CONTROL = "control"  # write Runs and joins, read the feed
    ADMINISTER = "administer"  # members, keys, settings of a project or an entity (entity "": of the tracker)


class Visibility(StrEnum):
    """Who sees a project."""

    PRIVATE = "private"  # its creator and the entity's admins
    TEAM = "team"  # who has a role in the entity
    PUBLIC = "public"  # everybody who is known to the tracker


class ProjectFacts(Protocol):
    """What the rule needs of a project; store.projects.Project has it."""

    @property
    def name(self) -> str:
        """Its name in its entity."""

    @property
    def visibility(self) -> Visibility:
        """Who sees it."""

    @property
    def creator(self) -> int | None:
        """The user who made it; None: the controller or a pod."""


class RunFacts(Protocol):
    """What the rule needs of an SDK run; store.sdk_runs.SdkRun has it."""

    @property
    def run_id(self) -> str | None:
        """The Run whose pod made it; None: a person did."""

    @property
    def group_name(self) -> str:
        """Its group, "" = none."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is acted on: things of an entity ("" = the whole tracker).

    `source`: a source's pod UID. `project` None: the entity itself, or (WRITE) a project that is still to be made.
    `run` None: the project itself, or (WRITE) a run that is still to be made.
    """

    entity: str
    source: str | None = None
    project: ProjectFacts | None = None
    run: RunFacts | None = None


# What a pod may ask of GraphQL, by field of Query and Mutation: what logging a run needs, and reading its project.
# Everything else is refused before its resolver is asked: a field that is added later stays closed to pods.
POD_FIELDS: Final = frozenset(
    {
        "Query.__schema",
        "Query.__type",
        "Query.__typename",
        "Query.entity",
        "Query.model",
        "Query.organization",
        "Query.project",
        "Query.serverInfo",
        "Query.viewer",
        "Mutation.__typename",
        "Mutation.createCustomChart",
        "Mutation.createRunFiles",
        "Mutation.markRunFilesUploaded",
        "Mutation.notifyScriptableRunAlert",
        "Mutation.rewindRun",
        "Mutation.upsertBucket",
    }
)
# What anybody may ask: the client looks around before it logs in.
OPEN_FIELDS: Final = frozenset(
    {
        "Query.__schema",
        "Query.__type",
        "Query.__typename",
        "Query.serverInfo",
        "Query.viewer",
        "Mutation.__typename",
    }
)


def may_ask(principal: Principal | None, field: str) -> bool:
    """Whether the principal may ask this field of GraphQL's roots at all (`Query.viewer`); resolvers ask `may` then."""
    if isinstance(principal, Person):
        return True
    return field in (POD_FIELDS if isinstance(principal, Pod) else OPEN_FIELDS)


def may(principal: Principal | None, action: Action, target: Target) -> bool:
    """Whether the principal may do this. None (nobody) may do nothing."""
    if isinstance(principal, Person):
        return _person_may(principal, action, target)
    if isinstance(principal, Pod):
        return _pod_may(principal, action, target)
    if isinstance(principal, Controller):
        return action is Action.CONTROL
    return False


def _person_may(person: Person, action: Action, target: Target) -> bool:
    if person.admin:
        return True
    if action is Action.CONTROL:
        return False
    role = person.roles.get(target.entity) if target.entity else None
    project = target.project
    if action is Action.READ and project is not None and project.visibility is Visibility.PUBLIC:
        return True
    if role is None or role is Role.ADMIN:
        return role is Role.ADMIN
    own = project is not None and project.creator is not None and project.creator == person.id
    if action is Action.ADMINISTER:
        return own and role is Role.MEMBER
    if project is not None and project.visibility is Visibility.PRIVATE and not own:
        return False
    return action is Action.READ or role is Role.MEMBER


def _pod_may(pod: Pod, action: Action, target: Target) -> bool:
    if target.entity != pod.entity:
        return False
    if action is Action.INGEST:
        return target.source == pod.uid
    place, project, run = pod.place, target.project, target.run
    if place is None or action not in {Action.READ, Action.WRITE}:
        return False
    at_home = project is not None and project.name == place.project
    if run is None:
        # To make a run, the project may be another one of the entity: the training code names it.
        open_to_all = project is None or project.visibility is not Visibility.PRIVATE
        return at_home or (action is Action.WRITE and open_to_all)
    mine = run.run_id == place.run or (at_home and place.group != "" and run.group_name == place.group)
    return mine or (action is Action.READ and at_home)
