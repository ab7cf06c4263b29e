"""Drives the page of `astroclip serve` as a person would, and asks /cone as pyvo does: see scripts/check_page."""

import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pyvo
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

program, chromium, folder, pictures = sys.argv[1:]
pictures = Path(pictures)
# For machines that do much else.
expect.set_options(timeout=20_000)


def start():
    """The service on a free port, and its address."""
    service = subprocess.Popen(
        [program, "-q", "serve", "align.emb.h5", "--bind", "127.0.0.1:0", "--device", "cpu"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = service.stdout.readline()
    return service, re.search(r"http://[\d.]+:\d+/", line).group()


def get(address, path):
    with urllib.request.urlopen(address + path) as answer:
        return answer.read()


def accessible(page, name):
    """Fails where axe finds anything."""
    found = Axe().run(page).response["violations"]
    said = [(one["id"], one["help"], one["nodes"][0]["target"], one["nodes"][0].get("failureSummary", "")) for one in found]
    assert not said, f"{name}: {said}"


def cards(page):
    return page.locator(".card")


def search_and_back(page, address, ids):
    page.goto(address)
    expect(cards(page).first).to_be_visible()
    accessible(page, "the first page")
    page.fill("#what", ids[0])
    page.press("#what", "Enter")
    expect(page.locator("#query h2")).to_contain_text(ids[0])
    expect(page.locator(".directions > section")).to_have_count(4)
    expect(cards(page)).to_have_count(32)
    expect(cards(page).first.locator(".badge")).to_have_text("the query itself")
    expect(page.locator("#query .picture img")).to_be_visible()
    expect(page.locator("#query .spectrum canvas")).to_be_visible()
    expect(page.locator("#query tbody td").first).not_to_be_empty()
    # What is found is what `search` on the command line finds.
    by_program = subprocess.run(
        [program, "-q", "search", "align.emb.h5", "--id", ids[0], "--from", "image", "--to", "spectrum", "--json"],
        cwd=folder, check=True, capture_output=True, text=True,
    )
    expected = [str(found["object_id"]) for found in json.loads(by_program.stdout)]
    shown = page.locator(".directions > section").nth(1).locator(".what a").all_inner_texts()
    assert shown == expected, (shown, expected)
    accessible(page, "a search")
    other = cards(page).nth(1).locator(".what a")
    clicked = other.inner_text()
    other.click()
    expect(page.locator("#query h2")).to_contain_text(clicked)
    page.go_back()
    expect(page.locator("#query h2")).to_contain_text(ids[0])
    page.go_forward()
    expect(page.locator("#query h2")).to_contain_text(clicked)
    page.reload()
    expect(page.locator("#query h2")).to_contain_text(clicked)


def several(page, address, ids):
    page.goto(f"{address}?id={ids[0]}")
    expect(cards(page)).to_have_count(32)
    cards(page).nth(2).get_by_role("button", name="More like").click()
    expect(page.locator("#query h2")).to_have_text("Like these galaxies")
    cards(page).nth(5).get_by_role("button", name="Less like").click()
    expect(page.locator(".chip.less")).to_have_count(1)
    expect(cards(page)).to_have_count(32)
    accessible(page, "several queries")
    page.locator(".chip.less button").click()
    expect(page.locator(".chip.less")).to_have_count(0)
    page.locator(".directions > section").first.get_by_role("button", name="More", exact=True).click()
    expect(cards(page)).to_have_count(40)


def filters(page, address, ids):
    page.goto(f"{address}?id={ids[0]}")
    expect(cards(page)).to_have_count(32)
    page.locator("#filters summary").click()
    page.select_option("#filter-column", "redshift")
    page.get_by_label("to, of the filter").fill("0.2")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#filters summary")).to_have_text("Filters (1)")
    expect(cards(page)).to_have_count(32)
    redshifts = re.findall(r"z (\d\.\d+)", page.locator(".directions").inner_text())
    assert redshifts and all(float(redshift) <= 0.2 for redshift in redshifts), redshifts
    accessible(page, "filters")
    page.go_back()
    expect(page.locator("#filters summary")).to_have_text("Filters")


def export(page, address, ids):
    page.goto(f"{address}?id={ids[0]}")
    expect(cards(page)).to_have_count(32)
    for name, first in [("CSV", "object_id,"), ("VOTable", "<?xml"), ("Identifiers", ids[0])]:
        with page.expect_download() as download:
            page.locator(".toolbar").get_by_role("button", name=name).click()
        text = Path(download.value.path()).read_text()
        assert text.startswith(first), (name, text[:80])


def lists(page, address, ids):
    page.goto(f"{address}?id={ids[0]}")
    expect(cards(page)).to_have_count(32)
    cards(page).nth(0).locator("[data-act=s]").click()
    cards(page).nth(1).locator("[data-act=s]").click()
    page.locator("#lists-button").click()
    expect(page.locator("#lists .listed .note")).to_have_text("2")
    accessible(page, "lists")
    page.get_by_role("button", name="Show My galaxies").click()
    expect(cards(page)).to_have_count(2)
    page.go_back()
    expect(cards(page)).to_have_count(32)


def upload(page, address, ids):
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        (place / "cutout.fits").write_bytes(get(address, f"api/v1/galaxies/{ids[0]}/image.fits"))
        page.goto(address)
        expect(cards(page).first).to_be_visible()
        page.set_input_files("#upload", place / "cutout.fits")
        expect(page.locator("#query h2")).to_have_text("cutout.fits")
        # The same image has the same embedding: it finds itself.
        expect(cards(page).first.locator(".what a")).to_have_text(ids[0])
        expect(cards(page).first).to_contain_text("cos 1.0000")
        accessible(page, "an upload")
        spectrum = json.loads(get(address, f"api/v1/galaxies/{ids[1]}/spectrum"))
        rows = [f"{spectrum['start'] + index * spectrum['step']},{flux}" for index, flux in enumerate(spectrum["flux"])]
        (place / "spectrum.csv").write_text("\n".join(["wavelength,flux", *rows, ""]))
        page.set_input_files("#upload", place / "spectrum.csv")
        expect(page.locator("#query h2")).to_have_text("spectrum.csv")
        of_spectra = page.locator(".directions > section").nth(1)
        expect(of_spectra.locator(".what a").first).to_have_text(ids[1])
        (place / "notes.txt").write_text("a,b\n1,2\n")
        page.set_input_files("#upload", place / "notes.txt")
        expect(page.locator("#message")).to_contain_text("notes.txt: has no column of wavelengths")
        page.go_back()
        expect(page.locator("#query h2")).to_have_text("cutout.fits")


def dead_ends(page, address, ids):
    page.goto(f"{address}?id=no-such-galaxy")
    expect(page.locator("#message")).to_contain_text("no galaxy has the id no-such-galaxy")
    accessible(page, "an unknown galaxy")
    page.locator("#message a").first.click()
    expect(cards(page)).to_have_count(32)
    page.goto(f"{address}?at=0.001 -89.9")
    expect(page.locator("#message")).not_to_be_empty()
    page.goto(f"{address}?list=none")
    expect(page.locator("#message")).to_contain_text("no list")


def position(page, address, ids):
    place = json.loads(get(address, f"api/v1/galaxies/{ids[0]}"))
    if place["ra"] is None:
        return
    page.goto(address)
    page.fill("#what", f"{place['ra']} {place['dec']}")
    page.press("#what", "Enter")
    expect(cards(page).first.locator(".what a")).to_have_text(ids[0])
    cards(page).first.locator(".what a").click()
    expect(page.locator("#query .links").get_by_role("link")).to_have_count(4)
    accessible(page, "a galaxy with a position")


def unusual_and_map(page, address, ids):
    page.goto(address)
    page.locator("#unusual-button").click()
    expect(cards(page)).to_have_count(24)
    page.locator("#map canvas").scroll_into_view_if_needed()
    expect(page.locator("#map-note")).to_contain_text("galaxies by t-SNE", timeout=60_000)
    accessible(page, "the map")
    # A click on the map goes to the galaxy there.
    page.goto(f"{address}?id={ids[0]}")
    expect(cards(page)).to_have_count(32)
    page.locator("#map canvas").scroll_into_view_if_needed()
    expect(page.locator("#map-note")).to_contain_text("t-SNE", timeout=60_000)


def keys(page, address, ids):
    page.goto(f"{address}?id={ids[0]}")
    expect(cards(page)).to_have_count(32)
    page.keyboard.press("j")
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    expect(page.locator("#query h2")).to_contain_text(focused)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "what"
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    accessible(page, "the help")
    page.keyboard.press("Escape")


def pictures_of(browser, address, ids):
    """The page as it looks, for people."""
    for width, height, scheme in [(1280, 900, "light"), (390, 844, "light"), (1280, 900, "dark")]:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        for name, path in [("home", ""), ("search", f"?id={ids[0]}"), ("unknown", "?id=none"), ("unusual", "?unusual=image")]:
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            page.locator("#map canvas").scroll_into_view_if_needed()
            expect(page.locator("#map-note")).to_contain_text("t-SNE", timeout=60_000)
            page.wait_for_timeout(300)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} at {width} pixels is {wide} wide"
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
            accessible(page, f"{name} at {width} pixels, {scheme}")
        context.close()


def cone(address):
    galaxies = json.loads(get(address, "api/v1/galaxies?ids=" + ",".join(json.loads(get(address, "api/v1/info"))["examples"])))["galaxies"]
    if galaxies[0]["ra"] is None:
        print("no positions: /cone is asked for its columns alone")
        return
    at = (galaxies[0]["ra"], galaxies[0]["dec"])
    found = pyvo.conesearch(address + "cone?", pos=at, radius=0.01)
    assert any(str(row.id) == galaxies[0]["object_id"] for row in found), found
    assert abs(found[0].pos.ra.deg - at[0]) < 0.02
    everything = pyvo.conesearch(address + "cone?", pos=at, radius=180)
    print(f"/cone: {len(found)} galaxies in a small cone, {len(everything)} in all")
    try:
        pyvo.conesearch(address + "cone?", pos=at, radius=200)
        raise AssertionError("a radius of 200 degrees was taken")
    except pyvo.DALQueryError as error:
        assert "expected degrees" in str(error), error


service, address = start()
try:
    ids = json.loads(get(address, "api/v1/info"))["examples"]
    cone(address)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for check in [search_and_back, several, filters, export, lists, upload, position, dead_ends, unusual_and_map, keys]:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
            page = context.new_page()
            complaints = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: message.type == "error" and "status of 4" not in message.text and complaints.append(message.text))
            check(page, address, ids)
            assert not complaints, (check.__name__, complaints)
            context.close()
            print(f"{check.__name__}: as it should be")
        pictures_of(browser, address, ids)
        browser.close()
    print(f"pictures: {pictures}")
finally:
    service.send_signal(signal.SIGTERM)
    code = service.wait(10)
assert code == 0, f"the service ended with {code} on SIGTERM"
