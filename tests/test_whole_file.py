"""Files appear whole or not at all."""

import errno
import os

import pytest
from safetensors import SafetensorError

from rewire import whole_file
from rewire.errors import InputError
from rewire.whole_file import replacing_file, replacing_folder, write_together, write_whole


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def chunks_until_the_disk_is_full():
    yield b"some"
    full_disk()


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_is_written_over_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    for content in (b"first", b"second"):
        write_whole(path, [content[:2], content[2:]])
        assert path.read_bytes() == content
    assert files_below(tmp_path) == ["new", "new/folder", "new/folder/file"]


def test_what_was_there_stays_where_the_disk_is_full(tmp_path):
    write_whole(tmp_path / "file", [b"before"])
    with pytest.raises(InputError, match="file: cannot be written: No space left on device"):
        write_whole(tmp_path / "file", chunks_until_the_disk_is_full())
    assert (tmp_path / "file").read_bytes() == b"before" and files_below(tmp_path) == ["file"]


def test_nothing_is_left_of_content_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "file", (b"%d" % (1 // n) for n in (1, 0)))
    assert not files_below(tmp_path)


def test_a_folder_or_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="folder: cannot be written: Is a directory"):
        write_whole(tmp_path / "folder", [b"x"])
    with pytest.raises(InputError, match=r"file/below: cannot be written: (Not a directory|File exists)"):
        write_whole(tmp_path / "file" / "below", [b"x"])
    assert files_below(tmp_path) == ["file", "folder"]


def test_files_that_belong_together_appear_together(tmp_path):
    write_together(tmp_path / "folder", [("a", [b"1"]), ("b", [b"2"])])
    assert files_below(tmp_path) == ["folder", "folder/a", "folder/b"]
    with pytest.raises(InputError, match="b: cannot be written: No space left on device"):
        write_together(tmp_path / "folder", [("a", [b"new"]), ("b", chunks_until_the_disk_is_full())])
    assert (tmp_path / "folder" / "a").read_bytes() == b"1"
    assert files_below(tmp_path) == ["folder", "folder/a", "folder/b"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "folder").write_text("kept")
    with pytest.raises(InputError, match="folder: cannot be written: File exists"):
        write_together(tmp_path / "folder", [("a", [b"1"])])
    monkeypatch.setattr(whole_file.os, "replace", full_disk)
    with pytest.raises(InputError, match="other: cannot be written: No space left on device"):
        write_whole(tmp_path / "other", [b"1"])
    assert files_below(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EROFS, "x"), "Read-only file system"),
        (OSError("disk full"), "disk full"),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "No space left on device",
        ),
        (Exception("File too large (os error 27)"), "File too large"),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 6784 vs 6676"),
            "the disk takes no more",
        ),
    ],
)
def test_what_libraries_raise_where_nothing_can_be_written(tmp_path, error, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("kept")
    for replacing in (replacing_file, replacing_folder):
        with (
            pytest.raises(InputError, match=f"folder: cannot be written: {reason}$"),
            replacing(tmp_path / "folder") as partial,
        ):
            (partial / "new" if partial.is_dir() else partial).write_text("half")
            raise error
        assert files_below(tmp_path) == ["folder", "folder/old"]


def test_a_folder_takes_the_place_of_another(tmp_path):
    for name in ("a", "b"):
        with replacing_folder(tmp_path / "folder") as partial:
            (partial / name).write_text(name)
    assert files_below(tmp_path) == ["folder", "folder/b"]
