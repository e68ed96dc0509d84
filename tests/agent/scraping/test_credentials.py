"""Profiles prove the agent by what their files say now, and name what is missing."""

import contextlib
import ssl
from pathlib import Path

import pytest

from agent.scraping import credentials
from agent.scraping.response import Cause, Failed
from common.config import agent as config, agent_inputs, outputs, shared
from common.service import settings
from tests.agent.exposer import exposing, page
from tests.agent.scraping.test_fetch import body, client, failure, once, secure
from tests.fakes import certificates
from tests.fakes.clock import Clock

IDENTITY = "spiffe://cluster.local/ns/shop/sa/cart"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def document(text: str) -> config.Agent:
    return settings.load(text, config.Agent, environ={}, read=lambda _: "")


def mount(folder: Path, name: str = IDENTITY) -> certificates.Files:
    """Write the files of a sidecar, as Istio calls them, to *folder*."""
    folder.mkdir()
    files = certificates.write(folder, name)
    for file, called in zip(
        (files.authority, files.certificate, files.key), credentials.MESH_FILES, strict=True
    ):
        (folder / called).write_bytes(file.read_bytes())
    return files


def ready(profile: credentials.Profile, *, secure: bool = False) -> credentials.Ready:
    found = profile.ready(secure=secure)
    assert isinstance(found, credentials.Ready), found
    return found


def refusal(profile: credentials.Profile, *, secure: bool = False) -> str:
    found = profile.ready(secure=secure)
    assert isinstance(found, Failed), found
    assert found.cause is Cause.CREDENTIALS
    return found.why


def test_every_target_finds_its_profile(clock: Clock) -> None:
    given = document(
        """
        inputs: {prometheus: {mesh_certificates: /mesh, auth: {bearer_token: of-all-workloads}}}
        static_targets:
        - {url: "http://a:1", auth: {basic: {username: joe, password: "p:w"}}}
        - {url: "https://b:1", tls: {server_name: c}}
        """
    )
    profiles = credentials.profiles(given, clock)
    assert list(profiles) == ["", "prometheus", "mesh", "static:0", "static:1"]
    assert [profile.where for profile in profiles.values()] == [
        "",
        "inputs.prometheus",
        "inputs.prometheus.mesh_certificates",
        "static_targets[0]",
        "static_targets[1]",
    ]
    assert ready(profiles[""]).authorization == ""
    assert ready(profiles["prometheus"]).authorization == "Bearer of-all-workloads"
    assert ready(profiles["static:0"]).authorization == "Basic am9lOnA6dw=="
    assert profiles["static:1"].server_name == "c"
    assert "mesh" not in credentials.profiles(config.Agent(), clock)


def test_profiles_of_the_same_authorities_share_them(clock: Clock) -> None:
    given = document("static_targets: [{url: 'https://a:1'}, {url: 'https://b:1'}]")
    profiles = credentials.profiles(given, clock)
    contexts = {id(ready(profile, secure=True).tls) for profile in profiles.values()}
    assert len(contexts) == 1
    assert ready(profiles[""]).tls is None


def test_files_that_are_not_there_are_named_and_taken_when_they_come(
    tmp_path: Path, clock: Clock
) -> None:
    folder = tmp_path / "mesh"
    profile = credentials.mesh(str(folder), agent_inputs.ScrapeAuth(), clock)
    assert refusal(profile, secure=True) == (
        f"the mesh's certificates: {folder} has no root-cert.pem, cert-chain.pem, key.pem yet "
        "(inputs.prometheus.mesh_certificates)"
    )
    mount(folder)
    refusal(profile, secure=True)  # it does not look at every scrape
    clock.now = 1.0
    context = ready(profile, secure=True).tls
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
    counted = credentials.rereads([profile])
    assert (counted.certificates, counted.certificate_failures) == (0, 1)


def test_certificates_that_change_are_read_again_and_broken_ones_change_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    folder = tmp_path / "mesh"
    mount(folder)
    profile = credentials.mesh(str(folder), agent_inputs.ScrapeAuth(), clock)
    first = ready(profile, secure=True).tls
    replace(folder / "root-cert.pem", b"broken")
    clock.now = 1.0
    assert ready(profile, secure=True).tls is first
    mount(tmp_path / "new")
    for name in credentials.MESH_FILES:
        (tmp_path / "new" / name).replace(folder / name)
    clock.now = 2.0
    assert ready(profile, secure=True).tls is not first
    counted = credentials.rereads([profile, profile])  # shared, so counted once
    assert (counted.certificates, counted.certificate_failures) == (1, 1)


def replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)


def test_a_broken_file_is_named(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing", encoding="utf-8")
    trust = credentials.Trust(shared.Tls(ca_file=str(file)), clock)
    profile = credentials.Credentials(
        trust, agent_inputs.ScrapeAuth(), where="static_targets[0]", now=clock
    )
    why = refusal(profile, secure=True)
    assert why.startswith(f"certificates cannot be used: {file}: ")
    assert why.endswith("(static_targets[0].tls)")
    assert ready(profile).tls is None  # plain HTTP needs none


def token_profile(file: Path, clock: Clock) -> credentials.Credentials:
    auth = agent_inputs.ScrapeAuth(bearer_token_file=str(file))
    trust = credentials.Trust(shared.Tls(), clock)
    return credentials.Credentials(trust, auth, where="static_targets[0]", now=clock)


def test_a_token_is_that_of_its_file(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "token"
    profile = token_profile(file, clock)
    assert refusal(profile) == (
        f"static_targets[0].auth.bearer_token_file: {file}: No such file or directory"
    )
    replace(file, b"first-token\n")
    clock.now = 1.0
    assert ready(profile).authorization == "Bearer first-token"
    replace(file, b"second-token")
    clock.now = 2.0
    assert ready(profile).authorization == "Bearer second-token"
    file.unlink()
    clock.now = 3.0
    assert ready(profile).authorization == "Bearer second-token"
    counted = credentials.rereads([profile])
    assert (counted.tokens, counted.token_failures) == (1, 2)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b" \n", "it is empty"),
        (b"a\r\nX-Evil: 1", "it has characters other than printable ASCII without spaces"),
        ("t\u00f6ken".encode(), "it has characters other than printable ASCII without spaces"),
        (b"secret\xff", "it is not UTF-8"),
    ],
)
def test_what_is_no_token_is_not_sent_and_not_shown(
    tmp_path: Path, clock: Clock, content: bytes, why: str
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    assert refusal(token_profile(file, clock)).endswith(f"token: {why}")


def test_secrets_and_their_beginnings_are_blotted_out(clock: Clock) -> None:
    trust = credentials.Trust(shared.Tls(), clock)

    def blotted(words: str, **auth: object) -> str:
        given = agent_inputs.ScrapeAuth(**auth)
        return credentials.Credentials(trust, given, where="", now=clock).blot(words)

    token = "abcdefghijklmnop"
    assert blotted(f"a {token} b {token}", bearer_token=token) == "a *** b ***"
    assert blotted("cut: Bearer abcdefghij", bearer_token=token) == "cut: ***"
    assert blotted("abcdefg is short", bearer_token=token) == "abcdefg is short"
    assert blotted("nothing", bearer_token="") == "nothing"
    basic = outputs.BasicAuth(username="joe", password="swordfish-9")
    for said in ("Basic am9lOnN3b3JkZmlzaC05", "joe:swordfish-9", "swordfish-9"):
        assert "fish" not in blotted(f"echo {said}!", basic=basic)
        assert "am9l" not in blotted(f"echo {said}!", basic=basic)


def test_what_others_keep_current_is_asked_each_time_and_may_fail() -> None:
    context, said = ssl.create_default_context(), ["Bearer first-token", "Bearer other-token"]

    def authorization() -> str:
        if not said:
            raise OSError("no token")
        return said.pop(0)

    profile = credentials.Asked(
        where="kubernetes",
        server_name="kubernetes.default",
        tls=lambda: context,
        authorization=authorization,
    )
    assert (profile.where, profile.server_name) == ("kubernetes", "kubernetes.default")
    assert ready(profile, secure=True) == credentials.Ready(context, "Bearer first-token")
    assert ready(profile) == credentials.Ready(None, "Bearer other-token")
    assert profile.blot("you said other-token") == "you said ***"
    assert refusal(profile) == "kubernetes: no token"
    assert credentials.rereads([profile]).tokens == 0


@pytest.mark.wallclock
async def test_a_sidecar_is_known_by_its_authority_whatever_its_identity(
    tmp_path: Path, clock: Clock
) -> None:
    folder, other = tmp_path / "mesh", tmp_path / "other"
    files, foreign = mount(folder), mount(other)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.certificate, files.key)
    server.load_verify_locations(files.authority)
    server.verify_mode = ssl.CERT_REQUIRED
    server.set_alpn_protocols(["istio-http/1.1"])
    ours = credentials.mesh(str(folder), agent_inputs.ScrapeAuth(), clock)
    async with exposing(page(b"a 1\n"), tls=server) as target:
        with contextlib.closing(client(secure(target, "127.0.0.1"), proven=ours)) as asking:
            assert body(await asking.fetch()) == b"a 1\n"
            (transport,) = target.open
            chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
            assert chosen == "istio-http/1.1"
        theirs = credentials.mesh(str(other), agent_inputs.ScrapeAuth(), clock)
        cause, _ = failure(await once(secure(target, "127.0.0.1"), proven=theirs))
    assert cause is Cause.TLS
    assert foreign.authority.read_bytes() != files.authority.read_bytes()
