"""Who asks: tokens, users, organisations, and what each may read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.hub.errors import HubError, repo_not_found
from tests.hub.store import Repo, RepoType, Store


@dataclass(frozen=True)
class Account:
    name: str
    orgs: tuple[str, ...] = ()
    role: Literal["read", "write"] = "write"

    def belongs_to(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.orgs

    def may_write(self, namespace: str) -> bool:
        return self.role == "write" and self.belongs_to(namespace)


class Accounts:
    def __init__(self) -> None:
        self._by_token: dict[str, Account] = {}

    def add(self, token: str, account: Account) -> None:
        self._by_token[token] = account

    def of_header(self, authorization: str | None) -> Account | None:
        """The account of an Authorization header, None for the anonymous; an unknown token is refused."""
        if authorization is None:
            return None
        account = self._by_token.get(authorization.removeprefix("Bearer "))
        if account is None:
            raise HubError(401, "Invalid credentials in Authorization header")
        return account


def may_read(account: Account | None, repo: Repo) -> bool:
    return not repo.private or (account is not None and account.belongs_to(repo.namespace))


def readable(store: Store, account: Account | None, kind: RepoType, id_: str) -> Repo:
    repo = store.find(kind, id_)
    if repo is None or not may_read(account, repo):
        member = account is not None and account.belongs_to(id_.partition("/")[0])
        raise repo_not_found(store.behaviour, anonymous=account is None, member=member)
    return repo


def writable(store: Store, account: Account | None, kind: RepoType, id_: str) -> Repo:
    repo = readable(store, account, kind, id_)
    known = required(account)
    if not known.may_write(repo.namespace):
        raise HubError(403, f"Forbidden: you don't have write access to {id_} with this token")
    return repo


def required(account: Account | None) -> Account:
    if account is None:
        raise HubError(401, "Invalid username or password.")
    return account
