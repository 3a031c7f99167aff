"""Images of cameras, scanners and microscopes: their numbers, or what is in the way of them."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from user_files.small import HEIGHT, NAMES, WIDTH, label_folder, picture

from recseg_d2 import cli
from recseg_d2.cli import check_dataset
from recseg_d2.config.options import FrameOptions
from recseg_d2.data.io.image_files import limit_pixels
from recseg_d2.data.io.images import probe_image, read_bgr, read_image, read_stack
from recseg_d2.errors import UserError

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 4096, (HEIGHT, WIDTH, 4)).astype(np.uint16)


def write_png16(path, pixels):
    """A 16-bit PNG of 2, 3 or 4 channels, which Pillow does not write."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").tobytes()
    line = len(rows) // height
    raw = b"".join(b"\0" + rows[i : i + line] for i in range(0, len(rows), line))

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    kind = {2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def assert_probed(path, found, **options):
    for decode in (False, True):
        header = probe_image(path, decode, **options)
        assert (*header.size, header.channels) == found.shape
        assert header.dtype == found.dtype


@pytest.mark.parametrize("channels", [3, 4])
def test_l11_rgb16_png(tmp_path, channels):
    write_png16(tmp_path / "a.png", DEEP[..., :channels])
    found = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(found, DEEP[..., :3])  # without opacity
    assert_probed(tmp_path / "a.png", found)
    with pytest.raises(UserError, match=r"a\.png: found pixels of type uint16, expected 8 bits"):
        read_bgr(tmp_path / "a.png")


def test_l11_grey16_png_with_opacity_is_refused(tmp_path):
    write_png16(tmp_path / "a.png", DEEP[..., :2])
    with pytest.raises(UserError, match="16-bit colours that Pillow cuts to 8 bits; save it as"):
        read_image(tmp_path / "a.png")


def test_l11b_rgb16_tif(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP[..., :3], photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), DEEP[..., :3])
    with pytest.raises(UserError, match="found pixels of type uint16"):
        read_bgr(tmp_path / "a.tif")


def test_deep_colours_that_only_pillow_can_decode_are_refused(tmp_path, monkeypatch):
    def no_codec(*args, **kwargs):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    tifffile.imwrite(tmp_path / "deep.tif", DEEP[..., :3], photometric="rgb")
    tifffile.imwrite(tmp_path / "plain.tif", picture(), photometric="rgb")
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", no_codec)
    with pytest.raises(UserError, match=r"deep\.tif: found 16-bit colours.*imagecodecs"):
        read_image(tmp_path / "deep.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "plain.tif"), picture())


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate"])
def test_compressed_tiffs_of_other_programs(tmp_path, compression):
    Image.fromarray(picture()).save(tmp_path / "a.tif", compression=compression)
    with Image.open(tmp_path / "a.tif") as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(read_bgr(tmp_path / "a.tif")[..., ::-1], expected)


def test_l12_grey16_tif(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP[..., 0])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), DEEP[..., :1])
    with pytest.raises(UserError, match=r"a\.tif: found pixels of type uint16, expected 8 bits"):
        read_bgr(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint64", "int16", "uint8"])
def test_l26_float_image_and_other_types(tmp_path, dtype):
    pixels = (100 * RNG.random((5, 7))).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    found = read_image(tmp_path / "a.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[..., 0], pixels)
    assert_probed(tmp_path / "a.tif", found)


def test_l13_multipage_image(tmp_path):
    pages = np.stack([picture(n) for n in range(3)])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    for read in (read_image, read_bgr, probe_image, lambda path: probe_image(path, decode=False)):
        with pytest.raises(UserError, match=r"a\.tif: found 3 pages, expected one image"):
            read(tmp_path / "a.tif")
    for n in range(3):
        found = read_image(tmp_path / "a.tif", FrameOptions(page=n))
        np.testing.assert_array_equal(found, pages[n])
    np.testing.assert_array_equal(read_stack(tmp_path / "a.tif"), pages)
    with pytest.raises(UserError, match="found 3 pages, expected number 3"):
        read_image(tmp_path / "a.tif", FrameOptions(page=3))


def test_imagej_and_ome_hyperstacks(tmp_path):
    stack = RNG.integers(0, 4096, (5, 2, 6, 8)).astype(np.uint16)  # Z, C, Y, X
    tifffile.imwrite(tmp_path / "ij.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    tifffile.imwrite(tmp_path / "ome.tif", stack, ome=True, metadata={"axes": "ZCYX"})
    for name in ("ij.tif", "ome.tif"):
        found = read_stack(tmp_path / name)
        np.testing.assert_array_equal(found, stack.transpose(0, 2, 3, 1))
        one = read_image(tmp_path / name, FrameOptions(page=4, channels=(1,)))
        np.testing.assert_array_equal(one[..., 0], stack[4, 1])
        assert_probed(tmp_path / name, one, options=FrameOptions(page=4, channels=(1,)))
    with pytest.raises(UserError, match="found 2 channels, expected those of numbers 2"):
        read_image(tmp_path / "ij.tif", FrameOptions(page=0, channels=(2,)))


def test_axes_that_the_file_does_not_tell(tmp_path):
    planes = RNG.integers(0, 255, (5, 6, 8)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack")
    assert read_stack(tmp_path / "a.tif").shape == (5, 6, 8, 1)
    found = read_image(tmp_path / "a.tif", FrameOptions(axes="CYX"))
    np.testing.assert_array_equal(found, planes.transpose(1, 2, 0))
    for wrong in ("YX", "CZX", "CYXT"):
        with pytest.raises(UserError, match=r"its array is 5 x 6 x 8"):
            read_image(tmp_path / "a.tif", FrameOptions(axes=wrong))


def test_pages_of_a_stack_of_other_formats(tmp_path):
    frames = [Image.fromarray(picture(n)) for n in range(2)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(UserError, match="found 2 pages"):
        read_bgr(path)
    found = read_image(path, FrameOptions(page=1))
    np.testing.assert_array_equal(found[..., :3], picture(1))


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "RGBA", "LA", "RGB"])
def test_l14_modes(tmp_path, mode):
    ending = "jpg" if mode == "CMYK" else "png"
    image = Image.fromarray(picture()).convert(mode)
    image.save(tmp_path / f"a.{ending}")
    found = read_bgr(tmp_path / f"a.{ending}")
    assert found.shape == (HEIGHT, WIDTH, 3)
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(found[..., ::-1], picture())


def test_l15_huge(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    limit_pixels(1000)
    tifffile.imwrite(tmp_path / "a.tif", DEEP)
    Image.fromarray(picture()).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        for read in (read_image, probe_image, lambda path: probe_image(path, decode=False)):
            with pytest.raises(UserError, match=rf"{name}: has more than 1,000 pixels, the most"):
                read(tmp_path / name)
    folder = label_folder(tmp_path / "data")
    options = ["--data", str(folder), "--max-pixels", "1000"]
    assert cli.run(check_dataset.main, options) == 1
    text = capsys.readouterr().out
    assert "a0.png: has more than 1,000 pixels" in text
    assert f"{len(NAMES)} problems" in text


def test_l25_five_channels(tmp_path):
    pixels = RNG.integers(0, 255, (6, 8, 5)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)
    with pytest.raises(UserError, match=r"a\.tif: found 5 channels, expected grey or RGB; choose"):
        read_bgr(tmp_path / "a.tif")
    found = read_bgr(tmp_path / "a.tif", FrameOptions(channels=(4, 0, 2)))
    np.testing.assert_array_equal(found, pixels[..., [2, 0, 4]])


def test_four_bands_are_no_colours_with_opacity(tmp_path):
    pixels = RNG.integers(0, 255, (6, 8, 4)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError, match="found 4 channels"):
        read_bgr(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_bgr(tmp_path / "a.tif"), pixels[..., 2::-1])


def test_the_camera_orientation_of_tiffs_is_pillows(tmp_path):
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.tif"
        tifffile.imwrite(path, picture(), photometric="rgb", extratags=[(274, "H", 1, orientation)])
        with Image.open(path) as image:
            image.load()
            expected = np.asarray(image)
        np.testing.assert_array_equal(read_image(path), expected)
        assert probe_image(path, decode=False).size == expected.shape[:2]


@pytest.mark.parametrize("keep", [3, 20, 200, 1000])
def test_tiffs_that_are_cut_short(tmp_path, keep):
    tifffile.imwrite(tmp_path / "a.tif", DEEP)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:keep])
    with pytest.raises(UserError, match=r"a\.tif: cannot be read as"):
        read_image(tmp_path / "a.tif")
