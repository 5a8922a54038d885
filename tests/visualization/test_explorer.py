"""The explorer: what it answers, held against the functions that it shows; whom it refuses; what it survives.

And its page in a real browser: what a person does with mouse, keyboard and telephone, and that nothing leaves this machine.
"""

import base64
import http.client
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from contextlib import contextmanager
from itertools import zip_longest
from urllib.parse import urlencode

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from chainrule import nn
from chainrule.models import MODELS
from chainrule.visualization import METHODS, Network, load_network, read_image, saliency
from chainrule.visualization.explorer import Explorer, Question, application, views
from chainrule.visualization.explorer import explorer as explorer_module
from chainrule.visualization.explorer import server as server_module
from chainrule.visualization.networks import load_run_network
from chainrule.visualization.pictures import overlay

# --- what there is to explore -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with the run "conv", a convolutional network that has seen the digits for some epochs, and "flat", one without places."""
    folder = tmp_path_factory.mktemp("explored")
    train = [sys.executable, "-m", "chainrule", "train"]
    for words in (
        ["three-layer-convnet", "--epochs", "3", "--lr", "0.003", "--optimizer", "adam", "--name", "conv"],
        ["fully-connected", "--hidden", "30", "--epochs", "1", "--name", "flat"],
    ):
        subprocess.run([*train, *words, "--data", "digits", "--runs", str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def explorer(runs):
    return Explorer("conv", runs=runs)


@pytest.fixture
def untrained():
    """A network of colour images with two layers of convolutions."""
    module = MODELS["convnet"](nn, (3, 16, 16), 4, channels=(5, 70)).reset_parameters(np.random.default_rng(0))
    classes = ("tabby, tabby cat", "goose", "tarantula", "pier")
    return Network("untrained", module.eval(), classes, (3, 16, 16), 255.0, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


def photograph(height=40, width=30, seed=0):
    """Soft blobs of colour, (height, width, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def decoded(url):
    scheme, _, data = url.partition(",")
    assert scheme == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


# --- views ------------------------------------------------------------------------------------------------------------------------


def test_the_top_scores_are_those_of_the_network(untrained):
    x = untrained.prepare(photograph())
    shown = views.scores(untrained, x, label=2)
    probabilities = untrained.probabilities(x)[0]
    assert [entry["index"] for entry in shown["top"]] == np.argsort(-probabilities).tolist()
    np.testing.assert_array_equal([entry["probability"] for entry in shown["top"]], np.sort(probabilities)[::-1])
    assert shown["true"] == {"index": 2, "name": "tarantula", "score": untrained.scores(x)[0, 2], "probability": probabilities[2]}
    np.testing.assert_array_equal(decoded(shown["picture"]), untrained.to_pixels(x)[0])


def test_scores_that_are_no_numbers_are_an_error(untrained):
    next(iter(untrained.module.parameters())).data[:] = np.nan
    for view in (views.scores, lambda network, x: views.saliency(network, x, "gradient")):
        with pytest.raises(ValueError, match="the scores of untrained are not finite numbers"):
            view(untrained, untrained.prepare(photograph()))


@pytest.mark.parametrize("method", METHODS)
def test_saliency_is_that_of_the_library_with_the_ends_of_its_scale(untrained, method):
    x = untrained.prepare(photograph())
    maps = saliency(untrained, x, 1, method=method)[None]
    shown = views.saliency(untrained, x, method, 1)
    np.testing.assert_array_equal(decoded(shown["overlay"]), overlay(untrained.to_pixels(x), maps)[0])
    assert shown["class"]["name"] == "goose"
    assert shown["low"] == maps.min()
    assert shown["low"] <= shown["high"] <= maps.max()


def test_saliency_is_of_the_class_that_the_network_sees_unless_another_is_named(untrained):
    x = untrained.prepare(photograph())
    seen = int(untrained.scores(x).argmax())
    assert views.saliency(untrained, x, "gradient") == views.saliency(untrained, x, "gradient", seen)


def test_the_channels_with_the_greatest_values_come_first(untrained):
    x = untrained.prepare(photograph())
    layer = next(layer["name"] for layer in views.layers(untrained) if layer["shape"].startswith("70 ×"))
    out = untrained.probe.layers(x, [layer])[layer].out[0]
    shown = views.activations(untrained, x, layer)
    assert (shown["channels"], len(shown["tiles"])) == (70, views.TILES)
    greatest = [tile["high"] for tile in shown["tiles"]]
    assert greatest == sorted(out.max(axis=(1, 2)).tolist(), reverse=True)[: views.TILES]
    assert decoded(shown["tiles"][0]["picture"]).shape == (*out.shape[1:], 3)


def test_a_layer_without_places_is_one_picture_of_all_units(untrained):
    last = views.layers(untrained)[-1]
    assert last["shape"] == "4"
    shown = views.activations(untrained, untrained.prepare(photograph()), last["name"])
    assert (shown["places"], shown["units"], len(shown["tiles"])) == (False, 4, 1)
    assert decoded(shown["tiles"][0]["picture"]).shape == (2, 2, 3)


def test_filters_are_shown_by_falling_norm(untrained):
    name, weights = next((name, array) for name, array in untrained.probe.parameters().items() if array.ndim == 4)
    shown = views.filters(untrained)
    assert (shown["layer"], shown["units"]) == (name, 5)
    assert [tile["unit"] for tile in shown["tiles"]] == np.argsort(-np.linalg.norm(weights.reshape(5, -1), axis=1)).tolist()


def test_the_fooling_image_that_is_shown_fools(untrained):
    x = untrained.prepare(photograph())
    target = int(untrained.scores(x).argmin())
    steps = list(views.fooling_image_steps(untrained, x, target))
    assert [step["step"] for step in steps] == list(range(len(steps)))
    assert [step["fooled"] for step in steps] == [False] * (len(steps) - 1) + [True]
    assert untrained.scores(untrained.prepare(decoded(steps[-1]["picture"]))).argmax() == target
    assert steps[0]["from"]["index"] == untrained.scores(x).argmax()
    change = decoded(steps[-1]["picture"]).astype(int) - untrained.to_pixels(x)[0]
    assert np.abs(change).max() == steps[-1]["largest"] > 0
    np.testing.assert_array_equal(decoded(steps[-1]["difference"]), 128 + steps[-1]["gain"] * change)


def test_the_image_of_a_class_raises_its_score(untrained):
    steps = list(views.class_image_steps(untrained, 3))
    assert len(steps) == views.CLASS_STEPS
    assert steps[-1]["score"] > steps[0]["score"]
    assert steps[0]["target"] == "pier"


# --- questions --------------------------------------------------------------------------------------------------------------------


def ask(explorer, view, **given):
    return list(explorer.answers(view, Question(**{"network": "conv", **given})))


def test_published_networks_and_runs_can_be_chosen(explorer):
    (answer,) = ask(explorer, "networks")
    assert answer["published"] == ["squeezenet1_0", "squeezenet1_1", "resnet18"]
    assert (sorted(answer["runs"]), answer["chosen"]) == (["conv", "flat"], "conv")


def test_a_run_without_the_checkpoint_cannot_be_chosen(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "conv" / "checkpoints" / "best")
    assert Explorer(runs=tmp_path / "runs").networks()["runs"] == ["flat"]
    explorer = Explorer("conv", runs=tmp_path / "runs", checkpoint="last")
    assert sorted(explorer.networks()["runs"]) == ["conv", "flat"]
    assert "top" in ask(explorer, "scores", sample=0)[0]


def test_an_image_of_the_test_split_comes_with_its_class(explorer, runs):
    network, data = load_run_network("conv", runs=runs)
    (answer,) = ask(explorer, "scores", sample=7)
    assert answer["true"]["index"] == data.test.labels[7]
    probabilities = network.probabilities(data.normalize(data.test.images[7:8]))[0]
    assert answer["top"][0]["probability"] == probabilities.max()
    (answer,) = ask(explorer, "network")
    assert (answer["samples"], answer["image"]) == (len(data.test), "1 × 8 × 8")


def test_a_photograph_is_seen_as_the_command_line_sees_it(explorer, runs, tmp_path):
    (tmp_path / "photo.png").write_bytes(png(photograph()))
    network = load_network("conv", runs=runs)
    expected = network.probabilities(network.prepare(read_image(tmp_path / "photo.png")))[0]
    (answer,) = ask(explorer, "scores", photo=(tmp_path / "photo.png").read_bytes())
    assert answer["top"][0]["probability"] == expected.max()


@pytest.mark.parametrize(
    ("view", "given", "message"),
    [
        ("scores", {"photo": b"hello", "name": "a.jpg"}, "a.jpg is not an image"),
        ("scores", {"photo": png(np.zeros((1, 1, 3), np.uint8)), "name": "a.png"}, "a.png has 1 x 1 pixels; an image needs at least 8 x 8"),
        ("scores", {}, "the image is empty; expected an image"),
        ("scores", {"sample": 100_000}, "there is no test image 100000; digits has 0 to"),
        ("scores", {"network": "none"}, "no network is called 'none'"),
        ("scores", {"network": "../conv"}, "no network is called '../conv'"),
        ("saliency", {"sample": 0, "wanted": "10"}, "class 10 does not exist; there are 0 to 9"),
        ("saliency", {"sample": 0, "method": "magic"}, "method is 'magic'; it must be one of gradient"),
        ("activations", {"sample": 0, "layer": "none"}, "conv has no layer 'none'"),
        ("fooling", {"sample": 0}, "name a class first"),
        ("class", {"wanted": "goose"}, "no class is called 'goose'"),
        ("secrets", {}, "there is no view 'secrets'"),
    ],
)
def test_what_cannot_be_answered_is_said(explorer, view, given, message):
    with pytest.raises(ValueError, match=message):
        ask(explorer, view, **given)


def test_a_network_that_does_not_exist_is_refused_at_the_start(runs, tmp_path):
    with pytest.raises(ValueError, match="no network is called 'none'"):
        Explorer("none", runs=runs)
    with pytest.raises(FileNotFoundError):
        Explorer(weights=tmp_path / "none.pth")
    with pytest.raises(ValueError, match="run 'conv' has its own"):
        Explorer("conv", weights=tmp_path / "any.pth", runs=runs)


def test_two_images_that_form_at_once_are_what_each_is_alone(explorer):
    questions = [{"sample": 1, "wanted": "3"}, {"sample": 2, "wanted": "5"}]
    alone = [ask(explorer, "fooling", **given) for given in questions]
    streams = [explorer.answers("fooling", Question("conv", **given)) for given in questions]
    together = zip_longest(*streams)  # a step of one, a step of the other
    assert [[answer for answer in answers if answer is not None] for answers in zip(*together, strict=True)] == alone


def test_few_networks_are_kept_open(runs):
    explorer = Explorer("conv", runs=runs)
    first, _ = explorer.opened("conv")
    assert explorer.opened("flat") is explorer.opened("flat")
    assert explorer.opened("conv")[0] is first


# --- over HTTP --------------------------------------------------------------------------------------------------------------------


@contextmanager
def served(explorer):
    """The port at which the explorer answers, in a thread of this process."""
    server = uvicorn.Server(uvicorn.Config(application(explorer), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port(explorer):
    with served(explorer) as port:
        yield port


def post(port, view, body=None, headers=None, **given):
    """Status and lines of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", f"/ask/{view}?{urlencode({'network': 'conv', **given})}", body, headers or {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, [json.loads(line) for line in text.splitlines()] if response.status == 200 else text


def test_every_answer_is_a_line(port, explorer):
    assert post(port, "fooling", sample=1, **{"class": "3"}) == (200, ask(explorer, "fooling", sample=1, wanted="3"))


def test_an_error_is_the_last_line_and_the_next_question_is_answered(port):
    status, lines = post(port, "scores", b"no image", name="täglich.jpg")
    assert (status, lines) == (200, [{"error": "täglich.jpg is not an image, or of a format that is not read; JPEG and PNG are"}])
    assert post(port, "scores", sample="x")[1] == [{"error": "'x' is no number of an image; it must be a whole number"}]
    assert "top" in post(port, "scores", png(photograph()))[1][0]


def test_too_large_an_upload_is_refused_unread(port, monkeypatch):
    monkeypatch.setattr(server_module, "LARGEST_UPLOAD", 2**20)
    assert post(port, "scores", b"x" * 3 * 2**20, name="a.jpg")[1] == [{"error": "a.jpg has more than 1 MiB; make it smaller first"}]


def test_uploads_leave_no_file_behind(port, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    post(port, "scores", png(photograph(900, 800)))
    post(port, "scores", png(photograph(900, 800))[:5000])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "evil.example:80", "Origin": "http://evil.example:80"}])
def test_a_name_that_somebody_lets_point_here_is_refused(port, headers):
    assert post(port, "networks", headers=headers)[0] == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_origins_are_refused(port, origin):
    assert post(port, "networks", headers={"Origin": origin}) == (403, "the explorer answers its own page only")


def test_the_page_may_load_nothing_from_elsewhere(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for path in ("/", "/page.css", "/page.js"):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:;"
        )
        assert b"//" not in response.read().replace(b"// ", b"").replace(b"http://www.w3.org", b"")
    connection.request("GET", "/explorer.py")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_fault_of_the_program_is_said_and_the_terminal_has_the_traceback(explorer, port, monkeypatch, capfd):
    with monkeypatch.context() as broken:
        broken.setattr(explorer, "opened", lambda name: 1 / 0)
        (line,) = post(port, "scores", sample=0)[1]
    assert line == {"error": "a fault of the program (ZeroDivisionError: division by zero); the terminal shows where"}
    assert "ZeroDivisionError" in capfd.readouterr().err
    assert "top" in post(port, "scores", sample=0)[1][0]


def test_whoever_goes_away_stops_the_computation(explorer, port, monkeypatch):
    steps, closed = [], threading.Event()

    def endless(view, question):
        try:
            while True:
                steps.append(len(steps))
                yield {"step": steps[-1]}
                time.sleep(0.01)
        finally:
            closed.set()

    with monkeypatch.context() as replaced:
        replaced.setattr(explorer, "answers", endless)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/ask/fooling?network=conv")
        assert connection.getresponse().readline() == b'{"step": 0}\n'
        connection.sock.close() if connection.sock else None
        connection.close()
        assert closed.wait(10)
    assert "top" in post(port, "scores", sample=0)[1][0]


# --- the page in a browser --------------------------------------------------------------------------------------------------------

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SECONDS = 60_000  # milliseconds that a busy machine may take for one answer


@pytest.fixture(scope="module")
def chromium():
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(chromium, port, *, width=1280, height=900, ready=True):
    """The page in a window of its own; afterwards nothing has gone elsewhere, and the console is empty."""
    context = chromium.new_context(viewport={"width": width, "height": height})
    page, requests, faults = context.new_page(), [], []
    page.set_default_timeout(SECONDS)
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(f"http://127.0.0.1:{port}/")
        if ready:
            expect(page.locator("#units img").first).to_be_visible(timeout=SECONDS)
        yield page
    finally:
        context.close()
    assert requests
    assert [url for url in requests if not url.startswith((f"http://127.0.0.1:{port}/", "data:"))] == []
    assert faults == []


@pytest.fixture
def page(chromium, port):
    with opened(chromium, port) as page:
        yield page


def upload(page, content, name="photo.png"):
    page.set_input_files("#photo", {"name": name, "mimeType": "image/png", "buffer": content})


def says(page, selector, text):
    expect(page.locator(selector)).to_have_text(text, timeout=SECONDS)


def top(page):
    """Names and percentages of the five bars."""
    lines = page.locator("#top .line").all()
    return [(line.locator("span").first.inner_text(), line.locator(".number").inner_text()) for line in lines]


def settled(page):
    """Scores, saliency and activations of the image are there, and nothing is being computed."""
    expect(page.locator("#channels img").first).to_be_visible(timeout=SECONDS)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=SECONDS)
    expect(page.locator("#status")).to_have_text("", timeout=SECONDS)


def picture(page, selector):
    return decoded(page.locator(selector).get_attribute("src"))


def test_a_photograph_is_scored_and_explained(page, runs, tmp_path):
    settled(page)
    (tmp_path / "photo.png").write_bytes(png(photograph()))
    before = page.locator("#seen").get_attribute("src")
    page.set_input_files("#photo", tmp_path / "photo.png")
    expect(page.locator("#seen")).not_to_have_attribute("src", before, timeout=SECONDS)
    settled(page)
    network = load_network("conv", runs=runs)
    x = network.prepare(read_image(tmp_path / "photo.png"))
    probabilities = network.probabilities(x)[0]
    order = np.argsort(-probabilities)[:5]
    assert [name for name, _ in top(page)] == [network.classes[index] for index in order]
    assert top(page)[0][1].startswith(f"{100 * probabilities[order[0]]:.0f}")
    np.testing.assert_array_equal(picture(page, "#seen"), network.to_pixels(x)[0])
    gradient = picture(page, "#overlay")
    page.select_option("#method", "grad-cam")
    expect(page.locator("#overlay")).to_have_attribute("alt", re.compile("^Grad-CAM for "), timeout=SECONDS)
    assert not np.array_equal(picture(page, "#overlay"), gradient)


def test_test_images_are_leafed_through_and_say_their_class(page):
    settled(page)
    page.click("#next")
    expect(page.locator("#sample")).to_have_value("1")
    expect(page.locator("#truth")).to_have_text(re.compile(r"^It is \d"))
    page.click("#previous")
    page.click("#previous")
    expect(page.locator("#sample")).to_have_value(page.locator("#sample").get_attribute("max"))
    settled(page)


def test_a_fooling_image_forms_until_it_fools(page):
    settled(page)
    target = top(page)[-1][0]
    page.fill("#fooling-class", target)
    page.click("#fooling [type=submit]")
    says(page, "#fooled-text", re.compile(r"^fooled after \d+ steps?$"))
    says(page, "#status", re.compile(r"^fooled after"))
    assert page.locator("#contest .to .line span").first.inner_text() == target
    assert page.locator("#course").get_attribute("aria-label").startswith("Probabilities from step 0 to")
    assert picture(page, "#difference").std() > 0
    expect(page.locator("#fooling .stop")).to_be_disabled()


def test_what_forms_can_be_stopped(page, monkeypatch):
    monkeypatch.setattr(views, "CLASS_STEPS", 1_000_000)
    settled(page)
    page.fill("#class-class", "8")
    page.click("#class [type=submit]")
    expect(page.locator("#drawn")).to_be_visible()
    page.click("#class .stop")
    says(page, "#status", "stopped")
    assert int(re.search(r"step (\d+) of", page.locator("#drawn-text").inner_text())[1]) > 0
    still = page.locator("#drawn-text").inner_text()
    page.wait_for_timeout(500)
    assert page.locator("#drawn-text").inner_text() == still


def draw(page, digit):
    page.fill("#class-class", digit)
    page.click("#class [type=submit]")


def drawn(page):
    """The finished picture of a class, as its data URL."""
    says(page, "#status", f"drawn in {views.CLASS_STEPS} steps")
    return page.locator("#drawn").get_attribute("src")


def test_two_tabs_do_not_mix(chromium, port):
    with opened(chromium, port) as one, opened(chromium, port) as other:
        settled(one), settled(other)
        draw(one, "3"), draw(other, "8")
        together = [drawn(one), drawn(other)]
        draw(one, "3")
        alone = [drawn(one)]
        draw(other, "8")
        assert [*alone, drawn(other)] == together


def claimed(width, height):
    """A PNG file whose header claims a size that its few bytes do not hold."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def of_one_bit(width, height):
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"GIF? no, a letter", "is not an image", id="no image"),
        pytest.param(png(np.zeros((1, 1, 3), np.uint8)), "has 1 x 1 pixels", id="1x1"),
        pytest.param(of_one_bit(20_000, 20_000), "is too large", id="20,000x20,000"),
        pytest.param(png(photograph(300, 300))[:2000], "is a damaged or truncated image", id="truncated"),
        pytest.param(claimed(60_000, 60_000), "is too large", id="decompression bomb"),
    ],
)
def test_a_bad_upload_shows_the_line_of_the_command_line_and_the_page_lives_on(page, tmp_path, content, reason):
    settled(page)
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(ValueError, match=reason) as raised:
        read_image(tmp_path / "photo.png")
    upload(page, content)
    says(page, "#error", str(raised.value).replace(str(tmp_path / "photo.png"), "photo.png"))
    expect(page.locator("#about-image")).to_be_hidden()
    upload(page, png(photograph(seed=1)))
    expect(page.locator("#about-image")).to_be_visible(timeout=SECONDS)
    says(page, "#error", "")
    settled(page)


def test_an_unknown_class_is_said(page):
    settled(page)
    page.fill("#saliency-class", "goose")
    page.press("#saliency-class", "Enter")
    says(page, "#error", "no class is called 'goose'")
    page.fill("#saliency-class", "4")
    page.press("#saliency-class", "Enter")
    expect(page.locator("#saliency-text")).to_have_text(re.compile("^For 4 "))


def test_an_error_stays_and_what_the_image_before_showed_goes(page):
    settled(page)
    page.fill("#saliency-class", "goose")
    page.press("#saliency-class", "Enter")
    says(page, "#error", "no class is called 'goose'")
    page.click("#next")
    expect(page.locator("#sample")).to_have_value("1")
    settled(page)
    says(page, "#error", "no class is called 'goose'")
    expect(page.locator("#overlay")).to_be_hidden()
    page.fill("#saliency-class", "")
    page.press("#saliency-class", "Enter")
    expect(page.locator("#overlay")).to_be_visible(timeout=SECONDS)
    says(page, "#error", "")


def test_a_method_that_does_not_fit_the_network_leaves_no_map_of_the_one_before(page):
    settled(page)
    page.select_option("#method", "grad-cam")
    expect(page.locator("#overlay")).to_have_attribute("alt", re.compile("^Grad-CAM for "), timeout=SECONDS)
    page.select_option("#network", "flat")
    says(page, "#error", re.compile("Grad-CAM needs one"))
    settled(page)
    expect(page.locator("#overlay")).to_be_hidden()
    page.select_option("#method", "gradient")
    expect(page.locator("#overlay")).to_be_visible(timeout=SECONDS)
    says(page, "#error", "")


def test_an_image_is_not_fooled_into_what_it_is_taken_for_already(page):
    settled(page)
    seen = top(page)[0][0]
    page.fill("#fooling-class", seen)
    page.click("#fooling [type=submit]")
    says(page, "#error", f"the image is taken for {seen} as it is; choose another class")
    expect(page.locator("#fooled")).to_be_hidden()


def test_a_network_that_cannot_be_opened_leaves_the_page_alive(chromium, runs, monkeypatch):
    def offline(name, **options):
        raise ConnectionError(f"the weights of {name} could not be fetched: no network")

    monkeypatch.setattr(explorer_module, "load_network", offline)
    with served(Explorer(runs=runs)) as port, opened(chromium, port, ready=False) as page:
        says(page, "#error", "the weights of squeezenet1_1 could not be fetched: no network")
        page.select_option("#network", "conv")
        settled(page)
        says(page, "#error", "")


def tab_to(page, name):
    """Press Tab until the element of this id has the focus."""
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {name}")


def test_everything_works_by_keyboard(page, monkeypatch):
    monkeypatch.setattr(views, "CLASS_STEPS", 1_000_000)
    page.on("filechooser", lambda chooser: None)  # Chromium is told now; expect_file_chooser alone may come after the key
    settled(page)
    tab_to(page, "network")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "photo"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    before = page.locator("#seen").get_attribute("src")
    chooser.value.set_files({"name": "photo.png", "mimeType": "image/png", "buffer": png(photograph(seed=2))})
    expect(page.locator("#seen")).not_to_have_attribute("src", before)
    settled(page)
    tab_to(page, "method")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#overlay")).to_have_attribute("alt", re.compile("^SmoothGrad for "))
    settled(page)
    target = top(page)[-1][0]
    tab_to(page, "fooling-class")
    page.keyboard.type(target)
    page.keyboard.press("Enter")
    says(page, "#fooled-text", re.compile("^fooled after"))
    tab_to(page, "class-class")
    page.keyboard.type("8")
    page.keyboard.press("Enter")
    expect(page.locator("#class .stop")).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    says(page, "#status", "stopped")
    assert page.evaluate("document.activeElement.textContent") == "Draw"  # not lost with the button that is no longer enabled


@pytest.mark.parametrize("network", ["conv", "flat"])
def test_on_a_telephone_nothing_is_wider_than_the_screen(chromium, port, network):
    with opened(chromium, port, width=375, height=700) as page:
        page.select_option("#network", network)
        says(page, "#layer", re.compile("ReLU"))
        settled(page)
        page.fill("#fooling-class", top(page)[-1][0])
        page.click("#fooling [type=submit]")
        says(page, "#fooled-text", re.compile("^fooled after"))
        assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_every_shown_picture_has_an_alternative_text(page):
    settled(page)
    page.fill("#fooling-class", top(page)[-1][0])
    page.click("#fooling [type=submit]")
    says(page, "#fooled-text", re.compile("^fooled after"))
    shown = [image for image in page.locator("img").all() if image.is_visible()]
    assert len(shown) > 20
    assert [image.get_attribute("id") for image in shown if not image.get_attribute("alt")] == []


@pytest.mark.real_data
def test_squeezenet_looks_at_a_photograph_and_is_fooled(chromium, shared_data):
    weights = shared_data / "squeezenet1_1-deepscale.pth"
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        photo = file["X"][3]
    network = load_network(weights=weights)
    probabilities = network.probabilities(network.prepare(photo))[0]
    with served(Explorer(weights=weights)) as port, opened(chromium, port) as page:
        expect(page.locator("#hint")).to_be_visible()
        upload(page, png(photo))
        settled(page)
        shown = top(page)
        assert [name.split("\n")[0].split(" ")[0] for name, _ in shown] == [
            network.class_name(index).split(" ")[0] for index in np.argsort(-probabilities)[:5]
        ]
        assert shown[0][1] == f"{100 * probabilities.max():.0f} %"
        np.testing.assert_array_equal(picture(page, "#seen"), photo)
        assert picture(page, "#overlay").shape == (224, 224, 3)
        page.fill("#fooling-class", "tarantula")
        page.click("#fooling [type=submit]")
        says(page, "#fooled-text", re.compile(r"^fooled after \d+ steps?$"))
        assert network.class_name(int(network.scores(network.prepare(picture(page, "#fooled"))).argmax())) == "tarantula"
