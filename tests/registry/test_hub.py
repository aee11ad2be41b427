"""The Hub as a registry, over real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd

from badx_hub.errors import BadxError, HubError, IntegrityError, NotFoundError, UsageError
from badx_hub.languages import Mixture
from badx_hub.registry import AdapterQuery, Entry, LocalRegistry, copy, open_registry, resolve
from badx_hub.registry.chain import RegistryChain, find
from badx_hub.registry.hub import HubRegistry, PushOptions, RepoFilter
from badx_hub.registry.hub.readme import is_ours
from tests.hub.faults import Status
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.refusals import refused
from tests.registry.hubs import open_org
from tests.registry.hubs import org as org
from tests.registry.hubs import pair as pair
from tests.registry.hubs import visitor as visitor

Pair = tuple[Entry, Entry]
Turns = tuple[Entry, Entry, Entry]
BA, TA = "acme/mbert.en-wo", "acme/mbert.en-wo.pos"
NEWER = "2026-02-02T00:00:00Z"


def versions(entries: tuple[Entry, ...]) -> list[tuple[str, str]]:
    return [(str(entry.name), entry.version) for entry in entries]


def edit(hub: HubServer, repo: str, files: Mapping[str, str | bytes]) -> None:
    operations = [CommitOperationAdd(name, t.encode() if isinstance(t, str) else t) for name, t in files.items()]
    hub.api().create_commit(repo, operations, commit_message="by hand")


def test_a_ta_takes_its_ba_along_in_one_commit_each(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, pair: Pair, tmp_path: Path
) -> None:
    done = copy(pair[1], registry, org)
    assert versions(done.copied) == versions(pair)
    assert hub.repos() == (BA, TA)
    for entry, repo in zip(pair, (BA, TA), strict=True):
        assert len(hub.history(repo)) == 2, "the repository's first commit and ours"
        assert set(hub.files(repo)) - {".gitattributes"} == {*entry.manifest.files, "badx.json"}
        assert hub.files(repo)["badx.json"] == (Path(entry.location) / "badx.json").read_bytes()
    assert f"{done.copied[0].location.removeprefix('hf:')}" in hub.files(TA)["README.md"].decode()
    other = LocalRegistry(tmp_path / "other")
    pulled = copy(visitor.get("mbert/en-wo/pos"), visitor, other)
    assert versions(pulled.copied) == versions(pair)
    assert all(other.verify(entry).ok for entry in other.list())


def test_adapters_that_took_turns_are_published_and_found_with_their_ta(
    hub: HubServer, tmp_path: Path, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, turns: Turns
) -> None:
    done = copy(turns[2], registry, org)
    assert versions(done.copied) == versions(turns)
    card = hub.files("acme/mbert.en-wo.pos-tlr")["README.md"].decode()
    for la in done.copied[:2]:
        assert f"| Trained on | `{la.name}` | `{la.location.removeprefix('hf:')}` |" in card
    assert org.verify(done.copied[2]).language_adapters == "present"
    assert copy(turns[2], registry, org).already == done.copied
    query = AdapterQuery(Mixture.parse("en-wo"), "pos", setup="tlr")
    for there in (visitor, open_org(hub, tmp_path / "c", None)):
        assert {str(one.name) for one in there.candidates(query)} == {str(one.name) for one in turns}
        found = find(RegistryChain([there]), query)
        assert versions(found.entries) == versions(turns[1:])
    other = LocalRegistry(tmp_path / "other")
    assert versions(copy(visitor.get(turns[2].name), visitor, other).copied) == versions(turns)


def test_one_of_several_that_is_not_on_the_hub_is_missing(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, turns: Turns
) -> None:
    copy(turns[1], registry, org)
    task = org.publish(registry.fetch(turns[2]))
    report = org.verify(task)
    assert (report.language_adapters, [ref.name for ref in report.missing]) == ("missing", ["mbert/en"])
    assert "| Trained on | `mbert/en` | `mbert.en` |" in hub.files("acme/mbert.en-wo.pos-tlr")["README.md"].decode()


@pytest.mark.parametrize("owner", ["acme", None])
def test_mad_x_is_found_on_the_hub(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, turns: Turns, put: Any, owner: str | None
) -> None:
    task = put("mbert/en/pos", on=turns[0])
    for entry in (task, turns[1]):
        copy(entry, registry, org)
    found = find(
        RegistryChain([open_org(hub, tmp_path / "c", owner)]),
        AdapterQuery(Mixture.parse("en-wo"), "pos", setup="mad-x"),
    )
    assert versions(found.entries) == versions((turns[1], task))


def test_a_whole_model_stays_local(hub: HubServer, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    model = put("mbert/en/pos@full")
    for act in (lambda: copy(model, registry, org), lambda: org.plan(registry.fetch(model))):
        with pytest.raises(UsageError, match=r"fully fine-tuned model, which stays local\. Share adapters"):
            act()
    assert hub.repos() == ()


def test_pushing_again_does_nothing(hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    first = copy(pair[1], registry, org)
    hub.requests.clear()
    again = copy(pair[1], registry, org)
    assert again.copied == ()
    assert again.already == first.copied
    assert {seen.method for seen in hub.requests} <= {"GET", "HEAD"}
    assert org.publish(registry.fetch(pair[0])) == first.copied[0]


def test_list_get_and_verify(org: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    assert org.list() == org.problems() == ()
    copy(pair[1], registry, org)
    ba, ta = org.list()
    assert versions((ba, ta)) == versions(pair)
    assert org.get("mbert/en-wo") == org.get(ba.name, ba.version) == ba
    assert ba.location.startswith(f"hf:{BA}@")
    assert org.verify(ba).ok and org.verify(ta).ok
    assert org.verify(ta).language_adapters == "present"
    with pytest.raises(NotFoundError, match=r"Nearest there: mbert/en-wo"):
        org.get("mbert/en-fo")
    with pytest.raises(NotFoundError, match="has no version"):
        org.get("mbert/en-wo", "20200101T000000Z-000000000000")


def test_a_wrong_parent_by_name_is_not_taken_for_the_right_one(
    org: HubRegistry, registry: LocalRegistry, pair: Pair, put: Any
) -> None:
    org.publish(registry.fetch(put("mbert/en-wo", weights=9.0)))
    done = copy(pair[1], registry, org)
    assert versions(done.copied) == versions(pair)


def test_commits_are_versions(hub: HubServer, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    old = put("mbert/en-wo", files={"curves.png": b"old"})
    ta = put("mbert/en-wo/pos", on=old)
    new = put("mbert/en-wo", weights=2.0, created=NEWER)
    for entry in (ta, new):
        copy(entry, registry, org)
    assert org.get("mbert/en-wo").version == new.version
    there = org.get("mbert/en-wo", old.version)
    assert there.version == old.version
    assert "curves.png" not in hub.files(BA), "what the old version named is gone from the new one"
    assert (org.fetch(there) / "curves.png").read_bytes() == b"old"
    assert versions(org.by_digest(old.manifest.digest, "mbert/en-wo")) == versions((old,))
    again = copy(ta, registry, org)
    assert versions(again.already) == versions((old, ta)), "the BA is found in the history, by digest"
    with refused(UsageError, r"newer version.*--revision"):
        org.publish(registry.fetch(old))


def test_candidates_serve_resolution(org: HubRegistry, registry: LocalRegistry, pair: Pair, put: Any) -> None:
    copy(pair[1], registry, org)
    copy(put("mbert/en-wo", weights=2.0, created=NEWER), registry, org)
    copy(put("mbert/en-fo"), registry, org)
    query = AdapterQuery(Mixture.parse("en-wo"), "pos")
    found = resolve(org.candidates(query), query)
    assert found.entry.version == pair[1].version
    assert found.language_adapter is not None and found.language_adapter.version == pair[0].version
    assert "mbert/en-fo" not in {str(entry.name) for entry in org.candidates(query)}


@pytest.mark.parametrize("owner", ["acme", None])
def test_a_related_target_on_the_hub_is_named_where_nothing_fits(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, put: Any, owner: str | None
) -> None:
    for name in ("mbert/en-da", "mbert/en-ug", "mbert/de-fo"):
        copy(put(name), registry, org)
    with pytest.raises(NotFoundError) as caught:
        find(RegistryChain([open_org(hub, tmp_path / "c", owner)]), AdapterQuery(Mixture.parse("en-fo")))
    assert "mbert/en-da (a related target: en-da)" in str(caught.value)
    assert "mbert/de-fo (another source: de-fo)" in str(caught.value)
    assert "en-ug" not in str(caught.value)


def test_what_a_stranger_has_broken_stops_nobody(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    card = "---\ntags: [badx, 'badx-source:en', 'badx-target:wo', 'badx-task:pos']\n---\n"
    for number in range(4):  # commits are random: no order of theirs with versions may count
        hub.put(f"evil{number}/mbert.en-wo.pos", {"README.md": card, "badx.json": f"{{{number}"})
    everywhere, query = open_org(hub, tmp_path / "c", None), AdapterQuery(Mixture.parse("en-wo"), "pos")
    with refused(NotFoundError, r"Not readable: badx\.json of evil0/mbert\.en-wo\.pos.*badx-hub train en-wo"):
        find(RegistryChain([everywhere]), query)
    copy(pair[1], registry, org)
    assert find(RegistryChain([everywhere]), query).entry.version == pair[1].version


@pytest.mark.parametrize("owner", ["acme", None])
def test_search_by_tags_and_names(
    hub: HubServer, tmp_path: Path, registry: LocalRegistry, put: Any, owner: str | None
) -> None:
    hub.behaviour.page_size = 2
    for name in ("mbert/en-wo", "mbert/en-fo", "mbert/wo", "mbert/en+fo+wo", "xlmr-base/en-wo", "mbert/en/pos@ta-only"):
        entry = put(name)
        files = {path.name: path.read_bytes() for path in registry.fetch(entry).iterdir()}
        hub.put(f"acme/{entry.name.repo_name}", files)
    hub.put("acme/bert.base", {"README.md": "not ours"})
    everywhere = open_org(hub, tmp_path / "c", owner)

    def names(**query: str) -> set[str]:
        return {str(entry.name) for entry in everywhere.search(RepoFilter(**query))}

    assert len(names()) == 6
    assert names(source="en", target="wo") == {"mbert/en-wo", "mbert/en+fo+wo", "xlmr-base/en-wo"}
    assert names(target="wo", base="bert-base-multilingual-cased") == {"mbert/en-wo", "mbert/wo", "mbert/en+fo+wo"}
    assert names(task="pos") == {"mbert/en/pos@ta-only"}
    assert names(source="fr") == set()
    assert len(everywhere.search(RepoFilter(), limit=2)) == 2


def test_the_truth_is_in_badx_json_and_not_in_tags(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, pair: Pair, put: Any
) -> None:
    copy(pair[1], registry, org)
    hub.behaviour.tags_in_info = False
    edit(hub, BA, {"README.md": "---\ntags: [badx, 'badx-source:fr']\n---\nMy own words."})
    assert versions(visitor.list()) == versions(pair)
    assert versions(visitor.search(RepoFilter(source="en", target="wo"))) == versions(pair)
    assert visitor.search(RepoFilter(source="fr")) == ()


def test_a_readme_edited_by_people_stays_theirs(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, put: Any, tmp_path: Path
) -> None:
    copy(put("mbert/en-wo"), registry, org)
    assert is_ours(hub.files(BA)["README.md"].decode())
    theirs = hub.files(BA)["README.md"].decode().replace("## Limits", "## What we saw\n\nIt is *good*.\n\n## Limits")
    edit(hub, BA, {"README.md": theirs.replace("tags:", "tags:\n- my-tag", 1)})
    entry = visitor.get("mbert/en-wo")
    assert visitor.verify(entry).ok
    other = LocalRegistry(tmp_path / "other")
    (pulled,) = copy(entry, visitor, other).copied
    assert "It is *good*." in (other.fetch(pulled) / "README.md").read_text()
    assert other.verify(pulled).ok
    assert {check.name: check.state for check in other.verify(pulled).files}["README.md"] == "edited"
    copy(put("mbert/en-wo", weights=2.0, created=NEWER, licence="apache-2.0"), registry, org)
    readme = hub.files(BA)["README.md"].decode()
    assert "It is *good*." in readme and "my-tag" in readme and "license: apache-2.0" in readme


def test_a_card_nobody_touched_follows_the_version(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, put: Any
) -> None:
    copy(put("mbert/en-wo"), registry, org)
    copy(put("mbert/en-wo", weights=2.0, created=NEWER, seed=4711), registry, org)
    assert "4711" in hub.files(BA)["README.md"].decode()


def test_scores_of_other_weights_do_not_stay_on_a_card(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair, put: Any
) -> None:
    scored = put("mbert/en-wo/pos", on=pair[0], weights=1.0, metrics={"test": {"wo/accuracy": 0.9}})
    copy(scored, registry, org)
    assert "model-index" in hub.files(TA)["README.md"].decode()
    copy(put("mbert/en-wo/pos", on=pair[0], weights=2.0, created=NEWER), registry, org)
    assert "model-index" not in hub.files(TA)["README.md"].decode()


def test_a_readme_that_is_there_before_us_is_kept(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    hub.api().create_repo(BA)
    edit(hub, BA, {"README.md": "---\nlicense: cc-by-4.0\nthumbnail: a.png\n---\nComing soon."})
    assert org.plan(registry.fetch(pair[0])).keeps_readme
    copy(pair[0], registry, org)
    readme = hub.files(BA)["README.md"].decode()
    assert readme.endswith("Coming soon.") and "badx:bilingual" in readme and "thumbnail: a.png" in readme


def test_a_deleted_readme_is_rendered_anew(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, pair: Pair, tmp_path: Path
) -> None:
    copy(pair[0], registry, org)
    hub.api().delete_file("README.md", BA)
    other = LocalRegistry(tmp_path / "other")
    (pulled,) = copy(visitor.get("mbert/en-wo"), visitor, other).copied
    assert "mbert/en-wo" in (other.fetch(pulled) / "README.md").read_text()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pytorch_adapter.bin": b"\x80\x04."}, "pytorch_adapter.bin, which badx_hub did not put there"),
        ({"adapter.safetensors": b"x" * 99}, "adapter.safetensors, which badx_hub did not put there"),
        ({"config.json": "{}", "README.md": "A model."}, r"something else \(config.json\)"),
        ({"badx.json": "{"}, "cannot be read, so it is left alone"),
        ({"badx.json": '{"schema_version": 2}'}, "update badx_hub"),
        ({"run.py": "print(1)"}, "run.py"),
    ],
)
def test_what_is_not_ours_is_never_written_over(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair, files: dict[str, str | bytes], said: str
) -> None:
    hub.api().create_repo(BA)
    edit(hub, BA, files)
    before = hub.files(BA)
    with pytest.raises(IntegrityError, match=said):
        copy(pair[1], registry, org)
    assert hub.files(BA) == before
    assert hub.repos() == (BA,)


def test_another_adapter_under_the_name_is_refused(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair, put: Any
) -> None:
    ta = (registry.fetch(put("mbert/en-fo")) / "badx.json").read_text()
    hub.put(BA, {"badx.json": ta})
    with pytest.raises(IntegrityError, match=r"says in its badx\.json that it is mbert/en-fo"):
        copy(pair[0], registry, org)


def test_notes_of_others_stay(hub: HubServer, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    copy(put("mbert/en-wo"), registry, org)
    edit(hub, BA, {"notes.txt": "a note", "docs/map.svg": "<svg/>"})
    copy(put("mbert/en-wo", weights=2.0, created=NEWER), registry, org)
    assert hub.files(BA)["notes.txt"] == b"a note"
    assert hub.files(BA)["docs/map.svg"] == b"<svg/>"


def test_private(hub: HubServer, tmp_path: Path, visitor: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    mine = open_org(hub, tmp_path / "cache", options=PushOptions(private=True))
    copy(pair[1], registry, mine)
    assert hub.api().model_info(TA).private
    assert visitor.list() == ()
    with pytest.raises(BadxError, match="log in"):
        visitor.get("mbert/en-wo")


def test_private_never_ends_in_a_public_repository(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    hub.api().create_repo(BA)
    before = hub.files(BA)
    mine = open_org(hub, tmp_path / "cache", options=PushOptions(private=True))
    with pytest.raises(UsageError, match=r"acme/mbert\.en-wo is there and public"):
        copy(pair[1], registry, mine)
    assert (hub.files(BA), hub.repos()) == (before, (BA,))
    hub.api().update_repo_settings(BA, private=True)
    assert len(copy(pair[1], registry, mine).copied) == 2


def test_a_pull_request_where_there_are_none(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, put: Any
) -> None:
    copy(put("mbert/en-wo"), registry, org)
    before = hub.refs(BA)
    fault = hub.fault("*/commit/*", Status(501), times=None)
    asking = open_org(hub, tmp_path / "c", options=PushOptions(create_pr=True))
    with refused(HubError, r"answered 501: .*leave out --create-pr"):
        copy(put("mbert/en-wo", created=NEWER, weights=2.0), registry, asking)
    assert (fault.hits, hub.refs(BA)) == (1, before)


def test_revision_and_tag(hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    new, old = put("mbert/en-wo", created=NEWER, weights=2.0), put("mbert/en-wo")
    copy(new, registry, org)
    branch = open_org(hub, tmp_path / "c", options=PushOptions(revision="older", message="An older one"))
    (there,) = copy(old, registry, branch).copied
    assert hub.history(BA, "older")[0] == "An older one"
    assert org.get("mbert/en-wo").version == new.version
    assert branch.get("mbert/en-wo").version == old.version
    copy(new, registry, open_org(hub, tmp_path / "c", options=PushOptions(revision="same")))
    assert hub.refs(BA)["refs/heads/same"] == hub.refs(BA)["refs/heads/main"]
    branch.tag(there, "v1")
    branch.tag(there, "v1")
    assert open_org(hub, tmp_path / "d", revision="v1").get("mbert/en-wo") == there
    with pytest.raises(HubError, match="has a tag v1 already"):
        org.tag(org.get("mbert/en-wo"), "v1")
    with pytest.raises(NotFoundError):
        open_org(hub, tmp_path / "d", revision="nowhere").get("mbert/en-wo")


def test_a_pull_request(hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, put: Any) -> None:
    copy(put("mbert/en-wo"), registry, org)
    new = put("mbert/en-wo", created=NEWER, weights=2.0)
    asking = open_org(hub, tmp_path / "c", options=PushOptions(create_pr=True))
    (there,) = copy(new, registry, asking).copied
    assert there.version == new.version
    assert hub.refs(BA)["refs/pr/1"] == there.location.rpartition("@")[2]
    assert org.get("mbert/en-wo").version != new.version


def test_a_plan_changes_nothing(hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    plan = org.plan(registry.fetch(pair[0]))
    assert plan.creates and plan.repo == BA and plan.already is None
    sizes = {one.name: one.size for one in plan.uploads}
    assert set(sizes) == {*pair[0].manifest.files, "badx.json"}
    assert sizes["curves.png"] == 4
    assert hub.repos() == ()
    assert {seen.path for seen in hub.requests if seen.method != "GET"} == {"/api/validate-yaml"}
    copy(pair[0], registry, org)
    assert org.plan(registry.fetch(pair[0])).already is not None


def test_whose(hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    everywhere = open_org(hub, tmp_path / "c", None)
    with refused(UsageError, "--to ORG"):
        everywhere.publish(registry.fetch(pair[0]))
    with pytest.raises(NotFoundError, match="Nobody"):
        everywhere.get("mbert/en-wo")
    copy(pair[1], registry, org)
    assert everywhere.get("mbert/en-wo") == org.get("mbert/en-wo")
    assert versions(everywhere.by_digest(pair[0].manifest.digest, "mbert/en-wo")) == versions(pair[:1])
    copy(pair[0], registry, open_org(hub, tmp_path / "c", "tester"))
    with pytest.raises(UsageError, match="published by acme, tester"):
        everywhere.get("mbert/en-wo")


def test_nothing_is_removed_from_here(org: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    (entry,) = copy(pair[0], registry, org).copied
    with pytest.raises(UsageError, match=rf"/{BA}/settings"):
        org.remove(entry, force=True)
    assert org.list() == (entry,)


def test_info_reads_badx_json_alone(hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair) -> None:
    copy(pair[0], registry, org)
    hub.requests.clear()
    org.get("mbert/en-wo")
    assert [seen.path for seen in hub.requests if seen.status == 200] and all(
        seen.path.endswith("badx.json") for seen in hub.requests
    )


def test_offline_knows_the_cache(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, pair: Pair, put: Any
) -> None:
    copy(pair[1], registry, org)
    copy(put("mbert/en-fo"), registry, org)
    online = open_org(hub, tmp_path / "c")
    fetched = [online.get(f"mbert/{name}") for name in ("en-wo", "en-wo/pos")]
    for entry in fetched:
        online.fetch(entry)
    hub.requests.clear()
    offline = open_org(hub, tmp_path / "c", offline=True)
    assert list(offline.list()) == fetched
    assert list(open_org(hub, tmp_path / "c", None, offline=True).list()) == fetched
    assert offline.get("mbert/en-wo/pos") == fetched[1]
    assert all(offline.verify(entry).ok and offline.fetch(entry).is_dir() for entry in fetched)
    assert offline.by_digest(pair[0].manifest.digest, "mbert/en-wo") == (fetched[0],)
    with pytest.raises(NotFoundError, match="offline"):
        offline.get("mbert/en-fo")
    with pytest.raises(HubError, match="offline"):
        offline.publish(registry.fetch(pair[0]))
    with pytest.raises(HubError, match="offline"):
        offline.find(RepoFilter())
    assert hub.requests == []


def test_a_damaged_cache_is_fetched_anew(
    hub: HubServer, tmp_path: Path, org: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    (entry,) = copy(pair[0], registry, org).copied
    weights = org.fetch(entry) / "adapter.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(b"other")
    with pytest.raises(HubError, match=r"is damaged.*offline"):
        open_org(hub, tmp_path / "cache", offline=True).fetch(entry)
    assert weights.read_bytes() == b"other", "offline nothing can take its place"
    assert (org.fetch(entry) / "adapter.safetensors").read_bytes() == good


def test_open_registry_by_name() -> None:
    found = open_registry("hf:acme")
    assert isinstance(found, HubRegistry)
    assert (found.location, open_registry("hf:").location) == ("hf:acme", "hf:")
    for name in ("hf:../etc", "hf:a/b", "hf:a..b", "hf:."):
        with pytest.raises(UsageError, match="not a user or an organisation"):
            open_registry(name)


def test_no_tensors_are_loaded(
    hub: HubServer, registry: LocalRegistry, pair: Pair, turns: Turns, tmp_path: Path
) -> None:
    script = """
import sys
from badx_hub.cli import main
sys.argv = ["badx-hub", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    heavy = {"torch", "transformers", "adapters", "datasets"} & set(sys.modules)
    sys.exit(f"loaded {heavy}" if heavy else stop.code)
"""

    def run(*arguments: str, home: str = "one") -> Any:
        command = [sys.executable, "-c", script, *arguments, "--format", "json"]
        done = subprocess.run(command, env=hub.env(tmp_path / home), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert hub.token not in done.stdout + done.stderr
        return json.loads(done.stdout)

    own = str(registry.root)
    assert [
        plan["repo"] for plan in run("push", "en-wo", "--task", "pos", "--to", "acme", "--dry-run", "--registry", own)
    ]
    tlr = ("en-wo", "--task", "pos", "--setup", "tlr", "--to", "acme", "--dry-run", "--registry", own)
    assert [plan["repo"] for plan in run("push", *tlr)] == [
        "acme/mbert.en",
        "acme/mbert.wo",
        "acme/mbert.en-wo.pos-tlr",
    ]
    assert hub.repos() == ()
    assert len(run("push", "en-wo", "--task", "pos", "--to", "acme", "--registry", own)) == 2
    assert [one["here"] for one in run("search", "--source", "English", "--target", "wol", "--org", "acme")] == [
        None
    ] * 2
    assert run("info", TA, home="two")["name"] == "mbert/en-wo/pos"
    assert [one["copied"] for one in run("pull", TA, home="two")] == [True, True]
    assert [one["here"] for one in run("search", "--task", "pos", home="two")] == ["yes"]
    assert [one["copied"] for one in run("pull", "en-wo", "--from", "acme", home="two")] == [False]
    assert len(run("search", "--offline", home="two")) == 2
