"""The settings of Strop, and the only reader of the environment.

`STROP_...` variables win over `strop.toml`, which wins over the defaults.

SettingsError       a setting is wrong; see app.errors
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from agents.approvals import Policy
from agents.state import RunLimits
from app.errors import SettingsError
from models.messages import Frozen
from sandboxes.egress.rules import parse_rules

PREFIX = "STROP_"
FILE_NAME = "strop.toml"
MASK = "********"
EVERY_MODEL = "*"
_LIMITS = RunLimits()
_BACKENDS_WITH_OPTIONS = ("docker_", "kubernetes_")


def _listed(value: object) -> object:
    """Split text at commas, so that a variable can hold several names."""
    return _parts(value) if isinstance(value, str) else value


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


def _bounds(value: object) -> object:
    """Read `4` as a bound for every model, and `qwen=1, *=4` as bounds by name."""
    if isinstance(value, int):
        return {EVERY_MODEL: value}
    if not isinstance(value, str):
        return value
    named = [part.rpartition("=") for part in _parts(value)]
    return {name.strip() or EVERY_MODEL: bound.strip() for name, _, bound in named}


Bounds = Annotated[
    dict[str, Annotated[int, Field(gt=0, le=1000)]], NoDecode, BeforeValidator(_bounds)
]


def _granted(value: object) -> object:
    """Read `TOKEN=env:GITHUB_TOKEN, KEY=file:/etc/key` as references by name."""
    if not isinstance(value, str):
        return value
    named = [part.partition("=") for part in _parts(value)]
    return {name.strip(): reference.strip() for name, _, reference in named}


def _kept_to(hosts: tuple[str, ...]) -> tuple[str, ...]:
    parse_rules(hosts)
    return hosts


Hosts = Annotated[Names, AfterValidator(_kept_to)]
Grants = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")],
        Annotated[str, Field(pattern="^(env|file):.+$")],
    ],
    NoDecode,
    BeforeValidator(_granted),
]


class Effective(Frozen):
    """A setting as it holds now."""

    name: str
    variable: str
    value: str
    origin: str
    """`environment`, the path of the file, `given` or `default`."""


class Settings(BaseSettings):
    """Everything that an operator can choose."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True
    )

    home: Path = Path("~/.strop")
    """Where everything is kept."""
    database_url: str = ""
    """Empty for SQLite in the home."""
    database_direct_url: str = ""
    """The PostgreSQL server itself, for locks, when `database_url` names a pooler before it."""
    chroma_url: str = ""
    """A Chroma server; empty for an index in the home."""
    model: str = "auto"
    """`auto`, a name in the catalogue, or any LiteLLM model id."""
    fallback_models: Names = ()
    """Models asked in turn when the first one cannot answer."""
    model_base_url: str = ""
    model_api_key: SecretStr = SecretStr("")
    embedding: Literal["auto", "minilm", "hashing", "none"] = "auto"
    index: Literal["exact", "chroma"] = "exact"
    """Where vectors are searched; a cache of what SQL holds."""
    sandbox: str = "auto"
    """`auto`, or the name of a backend that `./strop sandboxes list` shows."""
    kubernetes_config: str = ""
    """Path of a kubeconfig; empty for the usual place, or the service account in a cluster."""
    kubernetes_context: str = ""
    """Of the kubeconfig; empty for its current one."""
    kubernetes_namespace: str = ""
    """Where pods of sandboxes are made; empty for `strop-sandboxes`."""
    kubernetes_image: str = ""
    """Image of these pods, with `python3` and `sh`; empty for `python:3.12-slim`."""
    kubernetes_runtime_class: str = ""
    """A stronger runtime for these pods, such as `gvisor`; empty for the cluster's default."""
    budget_usd: float | None = Field(default=None, ge=0)
    """What a task may cost when it does not say so itself."""
    approval: Policy = Policy()
    """Which tool calls are asked about or refused, as JSON: rules by tool and risk, a default."""
    host: str = "127.0.0.1"
    public_hosts: Names = ()
    """Names by which others reach the server, beside `host`; needed behind a proxy."""
    rate_limit: float = Field(default=50.0, ge=0)
    """Requests a second that one key may make of one process; 0 for as many as it likes."""
    rate_burst: int = Field(default=200, gt=0)
    """Requests that a key may make at once after a pause."""
    retention_days: int | None = Field(default=None, gt=0)
    """Days after which what finished tasks left is removed; None keeps it."""
    idempotency_days: int = Field(default=30, gt=0)
    """Days for which an Idempotency-Key is remembered."""
    audit_days: int | None = Field(default=None, gt=0)
    """Days for which the audit log is kept; None keeps it for good."""
    port: int = Field(default=8321, ge=0, le=65535)
    """0 takes a free one."""
    client_timeout_s: float = Field(default=30.0, gt=0)
    """How long a client may take to send a request's head, or its body beside a second for every
    4 KiB, or to take in what waits for it."""
    max_connections: int = Field(default=4096, gt=0)
    """Connections held at once; fewer where the system allows fewer open files."""
    database_wait_s: float = Field(default=5.0, gt=0)
    """How long a request waits for others who write to the database."""
    plugins: Names = ()
    """Modules to import, which register tools and more."""

    max_steps: int = Field(default=_LIMITS.max_steps, gt=0)
    escalate_after: int = Field(default=_LIMITS.escalate_after, gt=0)
    max_failures: int = Field(default=_LIMITS.max_failures, gt=0)
    max_repeats: int = Field(default=_LIMITS.max_repeats, gt=1)
    history_window: int = Field(default=_LIMITS.history_window, gt=0)
    max_subgoals: int = Field(default=_LIMITS.max_subgoals, gt=0)
    max_answer_rounds: int = Field(default=_LIMITS.max_answer_rounds, ge=0)
    task_tokens: int | None = Field(default=None, gt=0)
    task_seconds: float | None = Field(default=None, gt=0)
    withholding_rate: float = Field(default=0.1, ge=0, le=0.5)
    """How often a recalled entry is kept out, to measure what it is worth."""
    holdout_rate: float | None = Field(default=None, ge=0, le=0.5)
    """Share of runs without any memory; None means 2 %, and none where nothing is withheld."""

    concurrency: int = Field(default=4, gt=0, le=1000)
    """Tasks that one process works on at once."""
    namespace_concurrency: int | None = Field(default=None, gt=0, le=10_000)
    """Tasks of one namespace that all processes together work on at once."""
    model_concurrency: Bounds = Field(default_factory=dict[str, int])
    """Calls of one model that all processes together make at once: `4`, or `qwen=1, *=4`."""
    server_works: bool = True
    """Whether `serve` works on tasks itself, or leaves that to `work` elsewhere."""
    drain_s: float = Field(default=5.0, ge=0)
    """How long a stopping process lets running tasks go on before it puts them back."""
    poll_s: float = Field(default=0.5, gt=0)
    """How soon a process notices what another one queued or cancelled."""
    sweep_s: float = Field(default=1.0, gt=0)
    keep_alive_s: float = Field(default=15.0, gt=0)
    """Silence on an event stream after which a comment is sent."""

    webhook_hosts: Names = ()
    """Places off the public internet, each as `host:port`, that webhooks may name."""
    allowed_hosts: Names = ()
    """Hosts that the tool `fetch_url` may reach, such as `*.example.org`."""
    upload_limit_bytes: int = Field(default=64 << 20, gt=0)
    """Largest request with files."""
    json_limit_bytes: int = Field(default=2 << 20, gt=0)
    """Largest request without files."""
    min_free_bytes: int = Field(default=64 << 20, ge=0)
    """Free disk below which no task is taken."""
    sandbox_min_isolation: Literal[
        "", "none", "interpreter", "process", "namespace", "userkernel", "vm"
    ] = ""
    """Weakest sandbox taken; empty for `namespace`, or for whatever a sandbox named here gives."""
    sandbox_hosts: Hosts = ()
    """Hosts that commands in a task's sandbox may reach, such as `pypi.org` or `*.example.org`."""
    sandbox_secrets: Grants = Field(default_factory=dict[str, str])
    """Variables that commands in a sandbox get by reference: `TOKEN=env:NAME, KEY=file:PATH`."""
    docker_host: str = "unix:///var/run/docker.sock"
    """The engine of docker sandboxes; on this machine, because they see folders of it."""
    docker_image: str = "strop-sandbox"
    """What docker sandboxes show as their system; anything with Python 3."""
    docker_runtime: str = ""
    """Such as `runsc`, which is taken by itself where the engine has it."""
    otlp_endpoint: str = ""
    """Collector of traces over OTLP/HTTP, such as `http://localhost:4318`; empty for none."""
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    log_format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])
    _provider_keys: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the base class fixes the signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what is read: arguments, then the environment."""
        return init_settings, env_settings

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Collect the provider keys of the environment."""
        super().model_post_init(context)
        self._provider_keys.update(_provider_keys(os.environ))

    @property
    def home_path(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().absolute()

    @property
    def provider_keys(self) -> Mapping[str, str]:
        """The `..._API_KEY` variables of model providers, by name."""
        return self._provider_keys

    def limits(self) -> RunLimits:
        """Return the bounds of a run that does not set its own."""
        return RunLimits(
            **{name: getattr(self, name) for name in RunLimits.model_fields if hasattr(self, name)},
            usd=self.budget_usd,
            tokens=self.task_tokens,
            seconds=self.task_seconds,
        )

    def sandbox_options(self) -> dict[str, str]:
        """Return what is set for sandbox backends, each setting under its own name."""
        return {
            name: str(value)
            for name, value in self
            if name.startswith(_BACKENDS_WITH_OPTIONS) and value
        }

    def origin(self, name: str) -> str:
        """Return where a setting's value came from; see `Effective.origin`."""
        return self._origins.get(name, "default")

    def note_origins(self, origins: Mapping[str, str]) -> None:
        """Remember where values came from; what is told later wins."""
        self._origins.update(origins)

    def effective(self) -> list[Effective]:
        """Return every setting with where its value came from, secrets masked."""
        return [
            Effective(
                name=name,
                variable=variable_of(name),
                value=_shown(name, getattr(self, name)),
                origin=self.origin(name),
            )
            for name in type(self).model_fields
        ]


def load_settings(*, directory: Path | None = None, **given: Any) -> Settings:  # noqa: ANN401 - values of any field
    """Return the settings of this process; `given` wins over the environment.

    Args:
        directory: where `strop.toml` is looked for before the home; the current directory.
        given: values by field name; None counts as not given.

    Raises:
        SettingsError: a value is wrong or a name unknown.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    from_environment = _environment_names(os.environ)
    path = _file(directory or Path.cwd(), chosen)
    from_file = _read(path) if path else {}
    values = {n: v for n, v in from_file.items() if n not in from_environment} | chosen
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    settings.note_origins(dict.fromkeys(from_file, str(path)))
    settings.note_origins(dict.fromkeys(from_environment, "environment"))
    settings.note_origins(dict.fromkeys(chosen, "given"))
    return settings


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _environment_names(environ: Mapping[str, str]) -> set[str]:
    """Return the settings that the environment names; a near miss is an error."""
    known = {variable_of(name): name for name in Settings.model_fields}
    found: set[str] = set()
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or not value:
            continue
        if variable in known:
            found.add(known[variable])
        elif near := difflib.get_close_matches(variable, known, n=1, cutoff=0.85):
            msg = f"{variable} is not a setting; did you mean {near[0]}?"
            raise SettingsError(msg)
    return found


def _file(directory: Path, given: Mapping[str, Any]) -> Path | None:
    """Return the settings file: of the directory, else of the home."""
    home = given.get("home") or os.environ.get(variable_of("home")) or "~/.strop"
    for folder in (directory, Path(home).expanduser()):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def _read(path: Path) -> dict[str, Any]:
    """Return what the file says."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: expected readable TOML, got: {error}"
        raise SettingsError(msg) from None
    for name in values:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            msg = f"{path}: {name!r} is not a setting{hint}"
            raise SettingsError(msg)
    return values


def _explain(error: ValidationError) -> str:
    """Say for each wrong setting what was expected and what came."""
    lines: list[str] = []
    for item in error.errors(include_url=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        got = _shown(name, item["input"])
        lines.append(f"{variable_of(name)}: {item['msg']}; got {got!r}")
    return "\n".join(lines)


def _shown(name: str, value: object) -> str:
    """Return a value for people, with what is secret masked."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, tuple | list):
        return ", ".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - parts of any type are only shown
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())  # pyright: ignore[reportUnknownVariableType] - see above
    if name.endswith(("_key", "_token")) and value:
        return MASK
    if name.endswith("_url"):
        return _without_password(str(value))
    return "" if value is None else str(value)


def _without_password(url: str) -> str:
    """Mask the password of a URL."""
    scheme, mark, rest = url.partition("://")
    login, at, host = rest.rpartition("@")
    if not at or ":" not in login:
        return url
    return f"{scheme}{mark}{login.partition(':')[0]}:{MASK}@{host}"


def _provider_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of model providers that the environment holds."""
    return {
        name: value
        for name, value in environ.items()
        if name.endswith("_API_KEY") and value and not name.startswith(PREFIX)
    }
