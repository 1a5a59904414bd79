from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import (
    VARIABLES,
    Environment,
    LogLevel,
    ResultCopy,
    Settings,
    SettingsError,
    settings_table,
    with_secret_key,
)

ROOT = Path(__file__).parents[2]
GOOD_SECRET = "kZ3vQ9yT1mX7bL5nR2wP8sD4gH6jF0cA"
PRODUCTION = {"GENRELAY_ENV": "production", "GENRELAY_SECRET_KEY": GOOD_SECRET}


def refusal(**env: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    return str(caught.value)


def test_an_empty_environment_gives_working_defaults() -> None:
    settings = Settings.from_env({})

    assert settings.database_url == f"sqlite:///{Path('data').absolute()}/genrelay.db"
    assert settings.storage_url == str(Path("data/files").absolute())
    assert settings.redis_url is None
    assert settings.broker_url == "memory://"
    assert settings.callback_schedule[:3] == (0, 5, 300)
    assert settings.deadline_s is None
    assert settings.allow_networks == ()
    assert settings.max_upload_bytes == 32 * 1024 * 1024
    assert settings.result_copy is ResultCopy.COPY
    assert settings.env is Environment.DEVELOPMENT


def test_an_empty_variable_counts_as_absent() -> None:
    empty = {variable.name: " " for variable in VARIABLES}

    assert Settings.from_env(empty) == Settings.from_env({})


def test_each_variable_fills_a_field_of_its_own() -> None:
    fields = [variable.field for variable in VARIABLES]

    assert sorted(fields) == sorted(Settings.__dataclass_fields__)


def test_database_and_files_lie_in_the_data_folder() -> None:
    settings = Settings.from_env({"GENRELAY_DATA": "/srv/gen relay?50%"})

    assert settings.data == Path("/srv/gen relay?50%")
    assert settings.storage_url == "/srv/gen relay?50%/files"
    # SQLAlchemy decodes the path and would cut it at a bare question mark.
    assert settings.database_url == "sqlite:////srv/gen%20relay%3F50%25/genrelay.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_gets_the_driver_that_is_installed(
    scheme: str,
) -> None:
    settings = Settings.from_env({"DATABASE_URL": f"{scheme}://u:p%40@db/g?a=b"})

    assert settings.database_url == "postgresql+psycopg://u:p%40@db/g?a=b"


def test_broker_is_redis_when_only_redis_is_named() -> None:
    settings = Settings.from_env({"REDIS_URL": "rediss://:pw@cache:6380/2"})

    assert settings.broker_url == settings.redis_url == "rediss://:pw@cache:6380/2"


def test_broker_may_differ_from_redis() -> None:
    env = {"REDIS_URL": "redis://cache", "BROKER_URL": "amqps://u:p@mq/vhost"}

    assert Settings.from_env(env).broker_url == "amqps://u:p@mq/vhost"


def test_port_is_used_when_the_longer_name_is_absent() -> None:
    assert Settings.from_env({"PORT": "5000"}).web_port == 5000
    both = {"PORT": "5000", "GENRELAY_WEB_PORT": "6000"}
    assert Settings.from_env(both).web_port == 6000


def test_values_become_what_their_fields_say() -> None:
    settings = Settings.from_env(
        {
            "GENRELAY_ALLOW_NETWORKS": "10.0.0.0/8, fd00::/8",
            "GENRELAY_CALLBACK_SCHEDULE": "0, 0.5,10",
            "GENRELAY_DEADLINE_S": "90",
            "GENRELAY_LOG_LEVEL": "debug",
            "GENRELAY_OLD_SECRET_KEYS": "older, oldest",
            "GENRELAY_PUBLIC_URL": "https://media.example.com/gen/",
            "GENRELAY_RESULT_COPY": "PASS",
            "GENRELAY_STORAGE_URL": "s3://results/prefix?region=eu-central-1",
        }
    )

    assert settings.allow_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.callback_schedule == (0, 0.5, 10)
    assert settings.deadline_s == 90
    assert settings.log_level is LogLevel.DEBUG
    assert settings.old_secret_keys == ("older", "oldest")
    assert settings.public_url == "https://media.example.com/gen"
    assert settings.result_copy is ResultCopy.PASS
    assert settings.storage_url == "s3://results/prefix?region=eu-central-1"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GENRELAY_LEASE_S", "soon", "=soon: must be 1 to 3,600 seconds"),
        ("GENRELAY_LEASE_S", "0", "out of range"),
        ("GENRELAY_LEASE_S", "nan", "not a number"),
        ("GENRELAY_LEASE_S", "inf", "not a number"),
        ("GENRELAY_LEASE_S", "-5", "out of range"),
        ("GENRELAY_MAX_UPLOAD_BYTES", "32MB", "=32MB: must be 1,024 to"),
        ("GENRELAY_MAX_UPLOAD_BYTES", "1.5", "not a whole number"),
        ("GENRELAY_MAX_UPLOAD_BYTES", "9" * 5000, "not a whole number"),
        ("GENRELAY_WEB_PORT", "70000", "=70000: must be 0 to 65,535"),
        ("PORT", "http", "PORT=http: must be 0 to 65,535"),
        ("GENRELAY_WEB_HOST", "http://0.0.0.0", "a host name or an address"),
        ("GENRELAY_ENV", "prod", "=prod: must be `development` or `production`"),
        ("GENRELAY_RESULT_COPY", "yes", "must be `copy` or `pass`"),
        ("GENRELAY_LOG_LEVEL", "loud", "`DEBUG` or `INFO` or `WARNING` or `ERROR`"),
        ("GENRELAY_ALLOW_NETWORKS", "10.0.0.0/8,10.0.0.1/8", "10.0.0.1/8 has host"),
        ("GENRELAY_ALLOW_NETWORKS", "localhost", "'localhost' does not appear"),
        ("GENRELAY_CALLBACK_SCHEDULE", "0,,5", "not a number"),
        ("GENRELAY_CALLBACK_SCHEDULE", "0,-5", "out of range"),
        ("GENRELAY_CALLBACK_SCHEDULE", ",".join("1" * 51), "it has 51 steps"),
        ("GENRELAY_PUBLIC_URL", "media.example.com", "must be `https://host`"),
        ("GENRELAY_PUBLIC_URL", "ftp://media.example.com", "must be `https://host`"),
        ("GENRELAY_PUBLIC_URL", "https://", "names no host"),
        ("GENRELAY_PUBLIC_URL", "https://a/?b", "no user, `?` or `#`"),
        ("GENRELAY_PUBLIC_URL", "https://a\nb", "control character"),
        ("GENRELAY_DATA", "~nobody-has-this-name/x", "no home folder"),
        ("DATABASE_URL", "mysql://u:p@h/d", "must be `sqlite:///path`"),
        ("DATABASE_URL", "sqlite://", "needs the path of a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "needs the path of a file"),
        ("REDIS_URL", "localhost:6379", "must be `redis://host:port/0`"),
        ("REDIS_URL", "redis:///0", "names no host"),
        ("REDIS_URL", "redis://h:port", "host or port cannot be read"),
        ("REDIS_URL", "redis://h/cache", "not the number of a database"),
        ("BROKER_URL", "sqs://", "`amqp://`"),
        ("BROKER_URL", "redis://", "names no host"),
        ("BROKER_URL", "amqp://", "names no host"),
        ("GENRELAY_STORAGE_URL", "gs://bucket", "`s3://bucket/prefix`"),
        ("GENRELAY_STORAGE_URL", "s3:///prefix", "names no bucket"),
        ("GENRELAY_STORAGE_URL", "file://relative", "file:///absolute/path"),
        ("GENRELAY_SECRET_KEY", "one,two", "a comma, a space"),
        ("GENRELAY_OLD_SECRET_KEYS", "one two", "a comma, a space"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_variable_and_what_is_allowed(
    name: str, value: str, said: str
) -> None:
    line = refusal(**{name: value})

    assert line.startswith(name)
    assert said in line
    assert line.isprintable()
    assert len(line) < 300


@given(st.sampled_from([v.name for v in VARIABLES]), st.text(max_size=40))
def test_any_text_is_read_or_refused_in_one_line(name: str, value: str) -> None:
    try:
        Settings.from_env({name: value})
    except SettingsError as error:
        assert str(error).isprintable()  # noqa: PT017  either outcome is right


@pytest.mark.parametrize(
    "env",
    [
        {"GENRELAY_SECRET_KEY": "hunter2 hunter2"},
        {"GENRELAY_OLD_SECRET_KEYS": "fine,hunter2 x"},
        {"DATABASE_URL": "postgresql://u:hunter2/x@h/d"},
        {"DATABASE_URL": "mysql://u:hunter2@h/d"},
        {"REDIS_URL": "redis://:hunter2#@h:1"},
        {"BROKER_URL": "amqp://u:hunter2[@h"},
        {"GENRELAY_STORAGE_URL": "gs://b?secret=hunter2"},
        {**PRODUCTION, "GENRELAY_SECRET_KEY": "hunter2"},
    ],
)
def test_a_refused_secret_is_not_repeated(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)

    error: BaseException | None = caught.value
    while error:
        assert "hunter2" not in str(error)
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


def test_repr_shows_no_secret() -> None:
    settings = Settings.from_env(
        {
            "GENRELAY_SECRET_KEY": "hunter2",
            "GENRELAY_OLD_SECRET_KEYS": "hunter2",
            "DATABASE_URL": "postgresql://u:hunter2@h/d",
            "REDIS_URL": "redis://:hunter2@h",
            "BROKER_URL": "amqp://u:hunter2@h",
            "GENRELAY_STORAGE_URL": "s3://b?secret=hunter2",
        }
    )

    assert "hunter2" not in repr(settings)
    assert "lease_s=60.0" in repr(settings)


def test_shortest_wait_longer_than_the_longest_is_refused() -> None:
    line = refusal(GENRELAY_POLL_MIN_S="20", GENRELAY_POLL_MAX_S="10")

    assert "GENRELAY_POLL_MIN_S=20" in line
    assert "GENRELAY_POLL_MAX_S, which is 10" in line


def test_idempotency_keys_outliving_their_tasks_are_refused() -> None:
    line = refusal(GENRELAY_IDEMPOTENCY_TTL_S="172800", GENRELAY_RETENTION_DAYS="1")

    assert "GENRELAY_IDEMPOTENCY_TTL_S=172800" in line


def test_production_starts_with_a_random_secret() -> None:
    assert Settings.from_env(PRODUCTION).secret_key == GOOD_SECRET


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "is not set"),
        (GOOD_SECRET[:31], "has 31 characters"),
        ("abcabcabc" * 4, "repeats a few characters"),
        ("change-me-" + GOOD_SECRET, "looks like a placeholder"),
        ("Insecure_development_key_0123456789", "looks like a placeholder"),
    ],
)
def test_production_refuses_a_secret_that_others_may_know(key: str, said: str) -> None:
    line = refusal(**{**PRODUCTION, "GENRELAY_SECRET_KEY": key})

    assert line.startswith(f"GENRELAY_SECRET_KEY {said}")


# The key in the data folder


@pytest.fixture
def unnamed(tmp_path: Path) -> Settings:
    return Settings.from_env({"GENRELAY_DATA": str(tmp_path / "data")})


def test_reading_the_environment_writes_nothing(unnamed: Settings) -> None:
    assert unnamed.secret_key == ""
    assert not unnamed.data.exists()


def test_a_made_secret_is_kept_for_its_owner_alone(unnamed: Settings) -> None:
    key = with_secret_key(unnamed).secret_key

    assert len(key) >= 32
    assert (unnamed.data / "secret.key").stat().st_mode & 0o777 == 0o600
    assert with_secret_key(unnamed).secret_key == key
    assert [file.name for file in unnamed.data.iterdir()] == ["secret.key"]


def test_a_given_secret_is_not_written_down(tmp_path: Path) -> None:
    env = {"GENRELAY_DATA": str(tmp_path), "GENRELAY_SECRET_KEY": "given"}

    assert with_secret_key(Settings.from_env(env)).secret_key == "given"
    assert not list(tmp_path.iterdir())


def test_processes_that_start_together_share_one_secret(unnamed: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(with_secret_key, [unnamed] * 32))

    assert len({settings.secret_key for settings in made}) == 1


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40])
def test_a_damaged_secret_file_is_not_replaced(
    unnamed: Settings, content: bytes
) -> None:
    unnamed.data.mkdir()
    file = unnamed.data / "secret.key"
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"secret\.key"):
        with_secret_key(unnamed)
    assert file.read_bytes() == content


def test_a_data_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    settings = Settings.from_env({"GENRELAY_DATA": str(tmp_path / "data")})

    with pytest.raises(SettingsError, match="GENRELAY_SECRET_KEY is not set, and"):
        with_secret_key(settings)


# What is printed from the table


def test_the_table_has_one_whole_row_per_variable() -> None:
    lines = settings_table().splitlines()

    assert len(lines) == 2 + len(VARIABLES)
    assert {line.count("|") for line in lines} == {5}
    assert "| `GENRELAY_LEASE_S` | `60` | 1 to 3,600 seconds |" in settings_table()


def test_the_table_shows_no_path_of_this_machine() -> None:
    assert str(Path.home()) not in settings_table()
    assert str(Path.cwd()) not in settings_table()


def test_the_example_file_names_every_variable_once_and_no_other() -> None:
    lines = (ROOT / "deploy/env.example").read_text().splitlines()
    assigned = [line.lstrip("# ").partition("=")[0] for line in lines if "=" in line]
    named = [name for name in assigned if name.isupper()]

    ours = [name for name in named if not name.startswith("POSTGRES_")]
    assert sorted(ours) == sorted(variable.name for variable in VARIABLES)


def test_the_example_file_as_it_stands_holds_no_secret() -> None:
    lines = (ROOT / "deploy/env.example").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line and line[0] != "#")

    assert values["GENRELAY_SECRET_KEY"] == ""
    assert "GENRELAY_SECRET_KEY is not set" in refusal(**values)
