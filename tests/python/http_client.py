"""Asks a coordinator over HTTP with nothing but the standard library.

Usage: http_client.py URL PATH...

Prints a JSON object with what each path was answered. Each is asked twice: the second time with the first answer's entity tag, which must be told that
nothing changed. What must be refused is tried as well.
"""

import json
import sys
import urllib.error
import urllib.request


def ask(url, **headers):
    """The status, the headers and the body of an answer."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def main():
    base, paths = sys.argv[1] + "/api/v1/", sys.argv[2:]
    answers = {}
    for path in paths:
        status, headers, body = ask(base + path)
        assert status == 200, (path, status, body)
        assert headers["Content-Type"] == "application/json" and headers["Cache-Control"] == "no-cache", headers
        assert headers["Access-Control-Allow-Origin"] is None, headers
        answers[path] = json.loads(body)
        tag = headers["ETag"]
        if path.startswith("views/"):
            assert tag is None, "a stream's content is not known when it begins"
            continue
        status, headers, body = ask(base + path, If_None_Match=tag)
        assert (status, body, headers["ETag"]) == (304, b"", tag), (path, status, body)
        status, headers, again = ask(base + path, If_None_Match='"of something else"')
        assert (status, headers["ETag"]) == (200, tag), (path, status)

    status, _, body = ask(base + "results?whree=seed")
    assert status == 400 and json.loads(body)["error"]["hint"] == "did you mean `where`?", body
    status, _, _ = ask(base + "frontier", Host="evil.example")
    assert status == 421, status
    request = urllib.request.Request(base + "frontier", data=b"{}")
    try:
        urllib.request.urlopen(request, timeout=30)
        raise AssertionError("POST was accepted")
    except urllib.error.HTTPError as error:
        assert (error.code, error.headers["Allow"]) == (405, "GET, HEAD"), error
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
