import errno
import io
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import requests

from app.storage import (
    BLOCK_BYTES,
    INCOMING,
    PART_BYTES,
    SPOOL_BYTES,
    Bucket,
    Folder,
    NotStored,
    RemoteFile,
    StorageError,
    _publish,
    open_storage,
)

KEY = "results/ab/task_x/0.png"
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def s3_url():
    """A server that speaks S3, with the bucket `media`."""
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        requests.put(f"{endpoint}/media", timeout=5).raise_for_status()
        yield f"s3://media/{{}}?endpoint_url={endpoint}&region=us-east-1"
        server.stop()


@pytest.fixture(params=["folder", "bucket"])
def storage(request, tmp_path):
    if request.param == "folder":
        return open_storage(str(tmp_path / "files"))
    url = request.getfixturevalue("s3_url")
    return open_storage(url.format(f"of/{tmp_path.name}"))


@pytest.fixture
def folder(tmp_path):
    return open_storage(str(tmp_path / "files"))


def age(path):
    then = (NOW - 2 * HOUR).timestamp()
    os.utime(path, (then, then))


def incoming(folder):
    return list((folder.root / INCOMING).iterdir())


# What every storage does


def test_stored_bytes_are_read_back(storage):
    storage.put(KEY, b"content")
    with storage.open(KEY) as file:
        assert file.read() == b"content"


def test_empty_file_is_stored(storage):
    storage.put(KEY, b"")
    assert storage.size(KEY) == 0
    assert storage.read_range(KEY, 0, 10) == b""


def test_size_is_in_bytes(storage):
    storage.put(KEY, "猫".encode())
    assert storage.size(KEY) == 3


def test_second_put_replaces_the_first(storage):
    storage.put(KEY, b"a longer first one")
    storage.put(KEY, b"second")
    assert storage.read_range(KEY, 0, 100) == b"second"


def test_written_parts_are_one_file(storage):
    with storage.writer(KEY) as file:
        for part in (b"a", b"bc", b"", b"def"):
            file.write(part)
    assert storage.read_range(KEY, 0, 100) == b"abcdef"


def test_file_is_not_visible_before_its_block_ends(storage):
    with storage.writer(KEY) as file:
        file.write(b"half")
        file.flush()
        assert not storage.exists(KEY)
        assert list(storage.keys_older_than(NOW + HOUR)) == []
    assert storage.exists(KEY)


def test_file_of_a_failed_block_is_discarded(storage):
    def fail():
        with storage.writer(KEY) as file:
            file.write(b"half")
            raise ConnectionResetError("the upstream hung up")

    with pytest.raises(ConnectionResetError):
        fail()
    assert not storage.exists(KEY)


def test_failed_rewrite_leaves_the_old_file(storage):
    storage.put(KEY, b"old")

    def fail():
        with storage.writer(KEY) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert storage.read_range(KEY, 0, 100) == b"old"


def test_full_disk_in_the_block_is_a_storage_error(storage):
    with pytest.raises(StorageError, match=f"cannot write {KEY}"), storage.writer(KEY):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("start", "length", "part"),
    [
        (0, 3, b"012"),
        (3, 4, b"3456"),
        (8, 100, b"89"),
        (10, 5, b""),
        (99, 5, b""),
        (4, 0, b""),
    ],
)
def test_range_is_cut_at_the_end_of_the_file(storage, start, length, part):
    storage.put(KEY, b"0123456789")
    assert storage.read_range(KEY, start, length) == part


@pytest.mark.parametrize(
    ("start", "end", "pieces"),
    [
        (0, 10, [b"0123", b"4567", b"89"]),
        (2, 6, [b"2345"]),
        (6, 99, [b"6789"]),
        (5, 5, []),
        (50, 60, []),
    ],
)
def test_pieces_of_a_range_have_at_most_the_wanted_size(storage, start, end, pieces):
    storage.put(KEY, b"0123456789")
    assert list(storage.iter_range(KEY, start, end, chunk=4)) == pieces


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (5, -1)])
def test_impossible_range_is_refused(storage, start, length):
    storage.put(KEY, b"0123456789")
    with pytest.raises(StorageError, match="no bytes"):
        storage.read_range(KEY, start, length)
    with pytest.raises(StorageError, match="no bytes"):
        storage.iter_range(KEY, start, start + length)


def test_large_file_comes_back_whole(storage):
    content = os.urandom(SPOOL_BYTES + PART_BYTES + 12_345)
    with storage.writer(KEY) as file:
        for start in range(0, len(content), 1_000_000):
            file.write(content[start : start + 1_000_000])
    assert storage.size(KEY) == len(content)
    pieces = list(storage.iter_range(KEY, 7, len(content), chunk=1_000_000))
    assert b"".join(pieces) == content[7:]
    assert max(map(len, pieces)) <= 1_000_000
    with storage.open(KEY) as file:
        assert file.read() == content


def test_open_file_can_be_sought_in(storage):
    storage.put(KEY, b"0123456789")
    with storage.open(KEY) as file:
        assert file.seek(-3, io.SEEK_END) == 7
        assert file.read(2) == b"78"
        assert file.tell() == 9
        file.seek(1)
        file.seek(2, io.SEEK_CUR)
        assert file.read(1) == b"3"
        with pytest.raises((OSError, ValueError)):
            file.seek(-1)


def test_existing_file_exists(storage):
    storage.put(KEY, b"x")
    assert storage.exists(KEY)
    assert not storage.exists("results/ab/task_x/1.png")


@pytest.mark.parametrize(
    "read",
    [
        lambda storage: storage.open(KEY),
        lambda storage: storage.size(KEY),
        lambda storage: storage.read_range(KEY, 0, 1),
        lambda storage: storage.iter_range(KEY, 0, 1),
    ],
)
def test_missing_file_is_not_stored(storage, read):
    with pytest.raises(NotStored, match=KEY):
        read(storage)


def test_folder_of_keys_is_not_a_stored_file(storage):
    storage.put(KEY, b"x")
    with pytest.raises(NotStored):
        storage.size("results/ab")
    with pytest.raises(NotStored):
        storage.size(f"{KEY}/more")
    assert not storage.exists("results")


def test_deleted_file_is_gone(storage):
    storage.put(KEY, b"x")
    storage.delete(KEY)
    assert not storage.exists(KEY)


def test_delete_may_come_twice(storage):
    storage.put(KEY, b"x")
    storage.delete(KEY)
    storage.delete(KEY)


def test_delete_of_a_folder_of_keys_removes_nothing(storage):
    storage.put(KEY, b"x")
    storage.delete("results/ab")
    assert storage.exists(KEY)


def test_delete_leaves_the_neighbours(storage):
    storage.put("results/ab/task_x/0.png", b"x")
    storage.put("results/ab/task_x/1.png", b"y")
    storage.delete("results/ab/task_x/0.png")
    assert storage.exists("results/ab/task_x/1.png")


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", ".", "..", "/etc/passwd", "../x", "a/../b", "a/..", "a/./b", "a//b"),
        *("a/", "/a", "a\\b", "a b", "a\nb", "a\x00b", "a%2fb", "ä", "~", "a?b", "a:b"),
        *(".hidden", "a/.hidden", ".incoming/x", "-a", "a*", "a\n", "x" * 129),
        "/".join(["a"] * 300),
    ],
)
def test_key_of_another_shape_is_refused_everywhere(storage, key):
    for use in (
        lambda: storage.put(key, b"x"),
        lambda: storage.writer(key).__enter__(),
        lambda: storage.open(key),
        lambda: storage.size(key),
        lambda: storage.exists(key),
        lambda: storage.read_range(key, 0, 1),
        lambda: storage.iter_range(key, 0, 1),
        lambda: storage.delete(key),
    ):
        with pytest.raises(StorageError, match="not a storage key"):
            use()


def test_keys_stored_before_a_moment_are_listed(storage):
    storage.put("results/a/0.png", b"x")
    storage.put("inputs/b", b"x")
    found = storage.keys_older_than(NOW + HOUR)
    assert sorted(found) == ["inputs/b", "results/a/0.png"]


def test_keys_stored_after_a_moment_are_not_listed(storage):
    storage.put(KEY, b"x")
    assert list(storage.keys_older_than(NOW - HOUR)) == []


@pytest.mark.parametrize("prefix", ["inputs", "inputs/"])
def test_keys_are_listed_below_a_prefix(storage, prefix):
    storage.put("inputs/b", b"x")
    storage.put("inputs2/c", b"x")
    storage.put("results/a", b"x")
    assert list(storage.keys_older_than(NOW + HOUR, prefix)) == ["inputs/b"]


def test_listing_below_nothing_is_empty(storage):
    assert list(storage.keys_older_than(NOW + HOUR, "inputs")) == []


def test_prefix_cannot_lead_outside(storage):
    with pytest.raises(StorageError, match="not a storage key"):
        list(storage.keys_older_than(NOW + HOUR, "../"))


def test_listed_files_may_be_deleted_while_they_come(storage):
    for number in range(30):
        storage.put(f"inputs/{number % 3}/{number}", b"x")
    for key in storage.keys_older_than(NOW + HOUR):
        storage.delete(key)
    assert list(storage.keys_older_than(NOW + HOUR)) == []


def test_nothing_stale_is_removed_from_a_tidy_storage(storage):
    storage.put(KEY, b"x")
    assert storage.clean_stale(NOW + HOUR) == 0
    assert storage.exists(KEY)


# A folder


def test_failed_block_leaves_no_temporary_file(folder):
    def fail():
        with folder.writer(KEY):
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert incoming(folder) == []


def test_old_files_alone_are_listed(folder):
    folder.put("inputs/old", b"x")
    folder.put("inputs/new", b"x")
    age(folder.root / "inputs/old")
    assert list(folder.keys_older_than(NOW - HOUR)) == ["inputs/old"]


def test_link_of_an_operator_is_no_old_file(folder, tmp_path):
    (folder.root / "elsewhere").symlink_to(tmp_path)
    assert list(folder.keys_older_than(NOW + HOUR)) == []


def test_file_of_a_dead_writer_is_cleaned(folder):
    folder.put(KEY, b"x")
    left = folder.root / INCOMING / "left"
    left.write_bytes(b"half")
    age(left)
    assert folder.clean_stale(NOW - HOUR) == 1
    assert not left.exists()


def test_file_of_a_living_writer_is_not_cleaned(folder):
    with folder.writer(KEY) as file:
        file.write(b"half")
        assert folder.clean_stale(NOW - HOUR) == 0
    assert folder.exists(KEY)


def test_writer_whose_file_was_cleaned_fails_aloud(folder):
    def write():
        with folder.writer(KEY) as file:
            file.write(b"half")
            folder.clean_stale(NOW + HOUR)

    with pytest.raises(StorageError, match=f"cannot write {KEY}"):
        write()
    assert not folder.exists(KEY)


def test_folders_emptied_long_ago_are_removed(folder):
    folder.put(KEY, b"x")
    folder.delete(KEY)
    age(folder.root / "results/ab/task_x")
    folder.clean_stale(NOW - HOUR)
    assert not (folder.root / "results/ab/task_x").exists()
    age(folder.root / "results/ab")
    age(folder.root / "results")
    folder.clean_stale(NOW - HOUR)
    assert folder.root.exists()
    assert not (folder.root / "results/ab").exists()


def test_folder_emptied_just_now_stays_for_the_writer_that_made_it(folder):
    folder.put(KEY, b"x")
    folder.delete(KEY)
    folder.clean_stale(NOW - HOUR)
    assert (folder.root / "results/ab/task_x").exists()


def test_old_folder_with_a_file_stays(folder):
    folder.put(KEY, b"x")
    age(folder.root / "results/ab/task_x")
    folder.clean_stale(NOW - HOUR)
    assert folder.exists(KEY)


class VanishingFolder(type(Path())):
    """A path whose folder is gone again when `mkdir` has made it, the first time."""

    errors: ClassVar[list[type[OSError] | None]] = []

    def mkdir(self, *args, **options):
        super().mkdir(*args, **options)
        if self.errors:
            self.rmdir()
            if error := self.errors.pop():
                raise error


@pytest.mark.parametrize("error", [None, FileExistsError, FileNotFoundError])
def test_writer_makes_its_folder_again_when_it_was_just_cleaned(tmp_path, error):
    folder = Folder(VanishingFolder(tmp_path))
    folder.put("first/a", b"x")
    VanishingFolder.errors.append(error)
    temporary = tmp_path / "temporary"
    temporary.write_bytes(b"content")
    _publish(temporary, folder.root / "second/b")
    assert folder.read_range("second/b", 0, 100) == b"content"


def test_writers_deleters_and_cleaners_side_by_side_lose_nothing(folder):
    errors = []

    def work(number):
        try:
            for _ in range(10):
                folder.put(f"results/ab/task_x/{number}", b"x")
                assert folder.exists(f"results/ab/task_x/{number}")
                folder.delete(f"results/ab/task_x/{number}")
                folder.clean_stale(NOW - HOUR)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_key_below_a_stored_file_is_a_storage_error(folder):
    folder.put("inputs/a", b"x")
    with pytest.raises(StorageError, match="cannot write inputs/a/b"):
        folder.put("inputs/a/b", b"x")


def test_unusable_folder_is_told_when_it_is_opened(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot use the folder"):
        open_storage(str(tmp_path / "file" / "below"))


# URLs


def test_path_is_a_folder(tmp_path):
    assert open_storage(str(tmp_path / "a b")) == Folder(tmp_path / "a b")
    assert (tmp_path / "a b").is_dir()


def test_relative_path_is_a_folder_wherever_the_process_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_storage("data/files") == Folder(tmp_path / "data/files")


@pytest.mark.parametrize("start", ["file://", "file://localhost"])
def test_file_url_is_a_folder(tmp_path, start):
    assert open_storage(f"{start}{tmp_path}/a%20b") == Folder(tmp_path / "a b")


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "http://example.com/", "gs://bucket", "S3://bucket", "file://"),
        *("file://elsewhere/data", "file:///data?x=1", "file:///data#x"),
        *("s3://", "s3:///prefix", "s3://b", "s3://bucket#x", "s3://bucket:80/"),
    ],
)
def test_other_url_is_refused_with_what_is_allowed(url):
    with pytest.raises(StorageError, match="a storage URL is a folder"):
        open_storage(url)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("regoin=us-east-1", "regoin"),
        ("region=a&region=b", "region"),
        ("region=", "region"),
        ("endpoint_url=localhost:9000", "endpoint_url"),
        ("endpoint_url=ftp://example.com", "endpoint_url"),
        ("endpoint_url=https://", "endpoint_url"),
    ],
)
def test_wrong_option_is_named(query, name):
    with pytest.raises(StorageError, match=f"{name}'? is wrong"):
        open_storage(f"s3://bucket/prefix?{query}")


def test_prefix_of_another_shape_is_refused():
    with pytest.raises(StorageError, match="not a storage key"):
        open_storage("s3://bucket/../other")


def test_credentials_in_a_url_are_refused_and_not_repeated():
    with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID") as caught:
        open_storage("s3://AKIA1:s3cret@bucket/")
    assert "s3cret" not in str(caught.value)


def run_python(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return done.stdout + done.stderr


def test_missing_extra_is_named():
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from app.storage import open_storage; open_storage('s3://bucket/prefix')"
    )
    assert "StorageError: a storage URL with s3:// needs an extra" in run_python(code)
    assert "genrelay[s3]" in run_python(code)


def test_folder_needs_no_s3_library(tmp_path):
    code = (
        f"import sys, app.storage as s; s.open_storage({str(tmp_path)!r})\n"
        "print('obstore' in sys.modules)"
    )
    assert run_python(code).strip() == "False"


# A bucket


def test_two_prefixes_of_a_bucket_do_not_meet(s3_url, tmp_path):
    first = open_storage(s3_url.format(f"{tmp_path.name}/1"))
    second = open_storage(s3_url.format(f"{tmp_path.name}/2"))
    first.put(KEY, b"x")
    assert not second.exists(KEY)
    assert list(second.keys_older_than(NOW + HOUR)) == []


def test_bucket_needs_no_prefix(s3_url, tmp_path):
    storage = open_storage(s3_url.format(""))
    storage.put(f"{tmp_path.name}/a", b"x")
    assert f"{tmp_path.name}/a" in list(storage.keys_older_than(NOW + HOUR))


def test_missing_bucket_is_a_storage_error_of_one_line(s3_url):
    storage = open_storage(s3_url.replace("media", "nobody").format(""))
    with pytest.raises(StorageError, match=f"cannot write {KEY}") as caught:
        storage.put(KEY, b"x")
    assert "\n" not in str(caught.value)


def test_unreachable_server_is_a_storage_error_of_one_line(s3_url):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    url = f"s3://media/?endpoint_url=http://127.0.0.1:{closed}&region=us-east-1"
    with pytest.raises(StorageError, match=f"cannot read {KEY}") as caught:
        open_storage(url).size(KEY)
    assert not isinstance(caught.value, NotStored)
    assert "\n" not in str(caught.value)


def test_failed_block_starts_no_upload():
    def fail():
        with Bucket(store=None, failure=ZeroDivisionError).writer(KEY) as file:
            file.write(b"half")
            raise ValueError

    # with a store that cannot be called, an upload would be an AttributeError
    with pytest.raises(ValueError):
        fail()


def test_remote_file_is_read_in_few_requests():
    content = os.urandom(3 * BLOCK_BYTES)
    asked = []

    def read(start, end):
        asked.append((start, end))
        return content[start:end]

    with io.BufferedReader(RemoteFile(len(content), read), BLOCK_BYTES) as file:
        assert file.read() == content
    assert len([span for span in asked if span[0] < span[1]]) <= 2


def test_remote_file_reads_a_header_in_one_request():
    content = os.urandom(2 * BLOCK_BYTES)
    asked = []

    def read(start, end):
        asked.append((start, end))
        return content[start:end]

    with io.BufferedReader(RemoteFile(len(content), read), BLOCK_BYTES) as file:
        for start in range(0, 4096, 7):
            assert file.read(7) == content[start : start + 7]
    assert len(asked) == 1
