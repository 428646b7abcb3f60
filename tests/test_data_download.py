"""Downloads: from a small server on this machine that cuts connections, lies and refuses as the real ones do."""

import errno
import gzip
import hashlib
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from gan_helpers.data import DOWNLOADED, SETS, ImageSet, decoding, download, images, load, sets
from gan_helpers.data.download import fetch
from gan_helpers.errors import CourseError


def md5(content):
    return hashlib.md5(content).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`: path → bytes, as `mood` says: path → some of 'cut', 'deaf' (no Range), 'html', 'shifted',
    'slow'."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.mood, self.asked = {}, {}, []  # asked: (path, Range header)
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802
        wanted, mood = self.headers.get("Range"), self.server.mood.get(self.path, "")
        self.server.asked.append((self.path, wanted))
        body, start = self.server.content.get(self.path), 0
        if "slow" in mood:
            time.sleep(0.2)
        if body is None:
            return self.send_error(404)
        if wanted and "deaf" not in mood:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start + ('shifted' in mood)}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8" if "html" in mood else "application/octet-stream")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        self.wfile.write(rest[: (len(rest) + 1) // 2] if "cut" in mood and len(rest) > 300 else rest)


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE", 0)
    return tmp_path / "cache"


BODY = np.random.default_rng(0).bytes(10_000)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "set" / "file.bin"


def fetched(server, target, *paths):
    return fetch([server.url + path for path in paths], target, md5(BODY), "BY HAND").read_bytes()


def names(target):
    return sorted(path.name for path in target.parent.iterdir() if path.name != ".lock")


def test_a_file_is_fetched_once(server, target):
    server.content["/a"] = BODY
    assert fetched(server, target, "/a") == fetched(server, target, "/a") == BODY
    assert server.asked == [("/a", None)] and names(target) == ["file.bin"]


def test_a_cut_connection_is_taken_up_where_it_stopped(server, target):
    server.content["/a"], server.mood["/a"] = BODY, "cut"
    assert fetched(server, target, "/a") == BODY
    assert [r for _, r in server.asked[:3]] == [None, "bytes=5000-", "bytes=7500-"]


def test_an_earlier_interruption_is_taken_up_too(server, target, monkeypatch):
    server.content["/a"] = BODY

    def interrupted(*_):
        raise KeyboardInterrupt

    server.mood["/a"] = "cut"
    monkeypatch.setattr(download.time, "sleep", interrupted)  # Ctrl-C after the first cut
    with pytest.raises(KeyboardInterrupt):
        fetched(server, target, "/a")
    assert names(target) == ["file.bin.part"], "what has come stays, and is not mistaken for the whole"
    server.mood.clear()
    assert fetched(server, target, "/a") == BODY
    assert server.asked[-1] == ("/a", "bytes=5000-") and names(target) == ["file.bin"]


@pytest.mark.parametrize("mood", ["deaf", ""])
@pytest.mark.parametrize("part", [BODY[:4000], BODY, BODY + b"more", b"wrong" * 100, b"wrong" * 9999, b""])
def test_any_part_ends_as_the_right_file(server, target, mood, part):
    """The server ignores Range or answers 416; the part is good, whole, too long, or something else altogether."""
    server.content["/a"], server.mood["/a"] = BODY, mood
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(part)
    assert fetched(server, target, "/a") == BODY and names(target) == ["file.bin"]


def test_a_mirror_continues_what_the_first_server_began(server, target):
    server.content |= {"/a": BODY, "/b": BODY}
    server.mood["/a"] = "cut deaf"
    assert fetched(server, target, "/a", "/b") == BODY
    assert server.asked[-1] == ("/b", "bytes=5000-")


def test_a_wrong_checksum_leads_to_the_next_mirror(server, target):
    server.content |= {"/a": b"not it", "/b": BODY}
    assert fetched(server, target, "/a", "/b") == BODY


def test_two_that_want_the_same_file_do_not_write_over_each_other(server, target):
    server.content["/a"], server.mood["/a"] = BODY, "slow"
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda _: fetched(server, target, "/a"), range(2)))
    assert got == [BODY, BODY] and server.asked == [("/a", None)], "the second waits, and finds the file"


def test_a_disk_without_locks_is_no_obstacle(server, target, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(download, "lock_descriptor", none)
    server.content["/a"] = BODY
    assert fetched(server, target, "/a") == BODY


def test_a_missing_and_a_dead_server_lead_to_the_next_mirror(server, target):
    server.content["/b"] = BODY
    dead = "http://127.0.0.1:9/x"
    assert fetch([dead, server.url + "/a", server.url + "/b"], target, md5(BODY)).read_bytes() == BODY


def test_every_failure_is_named_with_what_to_do_by_hand(server, target):
    server.content |= {"/wrong": b"not it", "/quota": b"<html>Quota exceeded</html>", "/shifted": BODY}
    server.mood |= {"/quota": "html", "/shifted": "shifted"}
    with pytest.raises(CourseError) as error:
        fetched(server, target, "/wrong", "/quota", "/gone")
    lines = str(error.value).split("\n")
    assert lines[0] == "file.bin could not be downloaded." and lines[-1] == "BY HAND"
    assert [line.split("/", 3)[3].split(":")[0] for line in lines[1:-1]] == ["wrong", "quota", "gone"]
    assert "checksum" in lines[1] and "web page" in lines[2] and "quota" in lines[2] and "404" in lines[3]
    assert names(target) == [], "neither the wrong bytes nor the web page stay"
    (target.parent / "file.bin.part").write_bytes(BODY[:10])
    with pytest.raises(CourseError, match="another part"):
        fetched(server, target, "/shifted")


def test_a_wrong_file_put_by_hand_is_named_or_replaced(server, target):
    target.parent.mkdir()
    target.write_bytes(b"wrong")
    with pytest.raises(CourseError, match="there, but its checksum is wrong"):
        fetched(server, target, "/gone")
    assert target.read_bytes() == b"wrong"
    server.content["/a"] = BODY
    assert fetched(server, target, "/a") == BODY


def test_a_silent_server_is_given_up(target, monkeypatch):
    import socket

    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CourseError, match="timed out"):
        fetch([f"http://127.0.0.1:{silent.getsockname()[1]}/"], target, md5(BODY))


@pytest.mark.parametrize("when", ["before", "writing"])
def test_a_full_disk(server, target, monkeypatch, when):
    server.content["/a"] = BODY
    if when == "before":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 95, 5))
    else:

        class Full(io.BytesIO):
            def write(self, _):
                raise OSError(errno.ENOSPC, "No space left on device")

        real = open
        monkeypatch.setattr(download, "open", lambda p, how="r": Full() if how == "wb" else real(p, how), raising=False)
    with pytest.raises(CourseError, match=r"could not be written .*(MB are needed|No space left)"):
        fetched(server, target, "/a", "/a")
    assert names(target) == []


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CourseError, match="could not be written"):
        fetch([server.url + "/a"], tmp_path / "file" / "x", md5(BODY))


# ---- the four data sets, from tiny files of the same formats


def offer(server, monkeypatch, name, contents):
    """Let `name` come from the server, with the checksums of `contents`: file → bytes."""
    server.content |= {f"/{name}/{file}": content for file, content in contents.items()}
    md5s = {file: md5(content) for file, content in contents.items()}
    offered = replace(SETS[name], urls=(f"{server.url}/{name}/{{file}}",), md5s=md5s)
    monkeypatch.setitem(SETS, name, offered)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx_sets(server, monkeypatch, name):
    rng = np.random.default_rng(0)
    images = {n: rng.integers(0, 256, (n, 28, 28)) for n in (7, 3)}
    labels = {n: np.arange(n) for n in (7, 3)}
    files = [idx(images[7]), idx(labels[7]), idx(images[3]), idx(labels[3])]
    offer(server, monkeypatch, name, dict(zip(sets.IDX, files, strict=True)))
    train, test = load(name), load(name, split="held-out")
    for found, n in ((train, 7), (test, 3)):
        assert isinstance(found.images, np.memmap) and (found.images[:, 0] == images[n]).all()
        assert found.labels.tolist() == list(range(n)) and found.labels.dtype == np.int64
        assert len(found.class_names) == 10 and found.shareable
    assert (train.name, test.name) == (name, f"{name}-test")
    assert (load(name).name, load(name, split="held-out").name) == (train.name, test.name)
    assert (train.unseen, test.unseen) == (False, True)
    assert len(server.asked) == 4 and "t10k" not in str(server.asked[:2]), "only the files of the split are fetched"


def cifar_archive(rows):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        parts = {f"data_batch_{i + 1}.bin": rows[2 * i : 2 * i + 2].tobytes() for i in range(5)}
        parts |= {"test_batch.bin": rows[10:].tobytes(), "batches.meta.txt": b"airplane\nautomobile\nbird\n\n"}
        for file, content in parts.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{file}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        evil = tarfile.TarInfo("../../evil")
        tar.addfile(evil, io.BytesIO())
    return out.getvalue()


def test_cifar10(server, monkeypatch, tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (13, 3073)).astype(np.uint8)
    rows[:, 0] = np.arange(13) % 3
    offer(server, monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": cifar_archive(rows)})
    train, test = load("cifar10"), load("cifar10", split="held-out")
    assert train.images.shape == (10, 3, 32, 32) and (train.images.reshape(10, -1) == rows[:10, 1:]).all()
    assert train.images[4, 1, 2, 3] == rows[4, 1 + 1024 + 2 * 32 + 3], "planes of red, green, blue; row by row"
    assert train.labels.tolist() == rows[:10, 0].tolist() and train.class_names == ("airplane", "automobile", "bird")
    assert (test.images.reshape(3, -1) == rows[10:, 1:]).all() and len(server.asked) == 1
    assert not list(tmp_path.rglob("evil")), "archives are read, never unpacked"


def celeba_files(broken=()):
    out, images = io.BytesIO(), {}
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(6):
            images[i] = Image.fromarray(np.random.default_rng(i).integers(0, 256, (218, 178, 3), np.uint8))
            jpeg = io.BytesIO()
            images[i].save(jpeg, "JPEG", quality=95)
            content = jpeg.getvalue()[: 99 if i in broken else None]
            archive.writestr(f"img_align_celeba/{i + 1:06}.jpg", content)
    columns = [f"Attribute_{i}" for i in range(40)]
    values = np.where(np.random.default_rng(0).random((6, 40)) < 0.5, 1, -1)
    lines = [f"{i + 1:06}.jpg  {' '.join(f'{v:2d}' for v in values[i])}" for i in range(6)]
    table = "\n".join(["6", " ".join(columns) + " ", *lines, ""]).encode()
    partition = "".join(f"{i + 1:06}.jpg {k}\n" for i, k in enumerate([0, 0, 0, 1, 2, 2])).encode()
    return dict(zip(sets.DRIVE, (out.getvalue(), table, partition), strict=True)), images, values > 0


def test_celeba(server, monkeypatch):
    contents, _, values = celeba_files()
    offer(server, monkeypatch, "celeba", contents)
    for split, rows in (("train", (0, 1, 2)), ("held-out", (4, 5))):  # the fourth is of its official validation split
        found = load("celeba", split=split)
        assert isinstance(found.images, np.memmap) and not found.shareable and len(found.attributes) == 40
        assert (np.stack(list(found.attributes.values()), 1) == values[list(rows)]).all()
        with zipfile.ZipFile(io.BytesIO(contents["img_align_celeba.zip"])) as archive:
            alone = [decoding.decode(archive.open(f"img_align_celeba/{row + 1:06}.jpg"), 64, 3) for row in rows]
        assert (found.images == alone).all()


def test_decoded_sets_need_neither_network_nor_raw_files(server, monkeypatch, cache):
    offer(server, monkeypatch, "celeba", celeba_files()[0])
    before = np.array(load("celeba").images)
    shutil.rmtree(cache / "downloads")
    server.content.clear()
    asked = len(server.asked)
    assert (load("celeba").images == before).all() and len(server.asked) == asked


def test_another_size_is_mapped_from_the_cache_too(server, monkeypatch, cache):
    offer(server, monkeypatch, "celeba", celeba_files()[0])
    own, small = load("celeba"), load("celeba", 16, 1)
    in_memory = replace(own, images=np.array(own.images)).resized(16, 1)
    assert isinstance(small.images, np.memmap) and (small.images == in_memory.images).all()
    assert small.digest == in_memory.digest == own.digest and len(list((cache / "resized").iterdir())) == 2
    monkeypatch.setattr(images, "resize", lambda *_: pytest.fail("resized again"))
    assert (load("celeba", 16, 1).images == small.images).all()
    others = own.take(np.array([2, 0]), "others")
    with pytest.raises(pytest.fail.Exception, match="resized again"):
        own.take(slice(1, 3), "others").resized(16, 1)
    assert not isinstance(others.images, np.memmap) and isinstance(own.take(slice(1, 3), "x").images, np.memmap)


def test_a_data_set_is_added_in_one_place(server, monkeypatch):
    monkeypatch.setitem(SETS, "squares", None)  # is gone after the test
    server.content["/7.bin"] = bytes(range(2 * 3 * 4 * 4))

    @sets.data_set(sets.Downloaded, "2 squares", origin="here", licence="none",
                   urls=(f"{server.url}/{{id}}.bin",), md5s={"a.bin": md5(server.content["/7.bin"])},
                   ids={"a.bin": 7})  # fmt: skip
    def squares(split, fetch):
        pixels = np.frombuffer(fetch("a.bin").read_bytes(), np.uint8).reshape(2, 3, 4, 4)
        return pixels.shape, [pixels], {"labels": [1, 0], "class_names": ("x", "y"), "shape": [7, 9]}

    for split in ("train", "held-out", "report"):
        found = load("squares", split=split)
        assert found.images.ravel().tolist() == list(range(96)) and found.class_names == ("x", "y")
        assert found.labels.tolist() == [1, 0] and found.attributes["shape"].tolist() == [7, 9]
    assert found.origin == "here" and not found.shareable and len(server.asked) == 1


def test_what_data_sets_there_are_is_known_at_once():
    """The command line lists them before PyTorch or Pillow could be imported."""
    code = (
        "import sys, gan_helpers.data as d; print(*d.DOWNLOADED, {'torch', 'PIL', 'tqdm', 'filelock'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["mnist", "fashion_mnist", "cifar10", "celeba", "set()"]


def test_raw_files_put_by_hand_are_used(server, monkeypatch, cache):
    contents = celeba_files()[0]
    offer(server, monkeypatch, "celeba", contents)
    place = cache / "downloads" / "celeba"
    place.mkdir(parents=True)
    for file, content in contents.items():
        (place / file).write_bytes(content)
    assert len(load("celeba")) == 3 and server.asked == []


def test_a_cache_that_others_filled_need_not_be_writable(server, monkeypatch, target):
    server.content["/a"] = BODY
    fetched(server, target, "/a")
    real = open
    monkeypatch.setattr(download, "open", lambda path, how: real(path, {"rb": how}[how]), raising=False)
    assert fetched(server, target, "/a") == BODY


def test_broken_images_in_celeba_leave_no_cache(server, monkeypatch, cache):
    offer(server, monkeypatch, "celeba", celeba_files(broken=[1])[0])
    with pytest.raises(CourseError, match="1 images of CelebA"):
        load("celeba")
    assert list((cache / "decoded").iterdir()) == []


def test_everything_stays_in_the_cache(server, monkeypatch, tmp_path, cache):
    monkeypatch.chdir(tmp_path)
    offer(server, monkeypatch, "celeba", celeba_files()[0])
    load("celeba")
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]
    assert sorted(p.name for p in cache.iterdir()) == ["decoded", "downloads"]


def test_celebas_quota_is_explained(server, monkeypatch, cache):
    offer(server, monkeypatch, "celeba", celeba_files()[0])
    server.mood = dict.fromkeys(server.content, "html")
    with pytest.raises(CourseError) as error:
        load("celeba")
    text = str(error.value)
    for part in ("web page", "24 hours", "signed in", "img_align_celeba.zip (md5", str(cache / "downloads" / "celeba")):
        assert part in text


def test_the_embedded_set_stands_in_only_where_allowed_and_with_a_banner(monkeypatch, capsys):
    monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], urls=("http://127.0.0.1:9/{file}",)))
    with pytest.raises(CourseError, match="could not be downloaded"):
        load("mnist")
    stand_in = ImageSet(np.zeros((2, 1, 28, 28), np.uint8), "fashion")
    monkeypatch.setattr(SETS["fashion"], "open", lambda split: stand_in)
    found = load("mnist", fallback="fashion")
    shown = capsys.readouterr().out
    assert found.name == "fashion" and "mnist could not be downloaded" in found.note
    assert f"!!!! {found.note} !!!!" in shown and "By hand" in shown and "127.0.0.1:9" in shown


def test_the_addresses_are_encrypted_and_the_checksums_are_torchvisions():
    from torchvision.datasets import MNIST, CelebA, FashionMNIST

    assert all(url.startswith("https://") for name in DOWNLOADED for url in SETS[name].urls)
    assert dict(MNIST.resources) == SETS["mnist"].md5s
    assert dict(FashionMNIST.resources) == SETS["fashion_mnist"].md5s
    theirs = {file: (drive, digest) for drive, digest, file in CelebA.file_list}
    ours = SETS["celeba"].md5s
    assert {file: (sets.DRIVE[file], ours[file]) for file in ours} == {file: theirs[file] for file in ours}


@pytest.mark.skipif(not os.environ.get("GAN_HELPERS_ONLINE"), reason="set GAN_HELPERS_ONLINE=1 to try the real servers")
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_the_real_servers(name, tmp_path):
    for address in SETS[name].urls:
        for file, digest in SETS[name].md5s.items():
            fetch([address.format(file=file)], tmp_path / hashlib.md5(address.encode()).hexdigest() / file, digest)
