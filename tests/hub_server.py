"""A Hugging Face hub on this machine: what huggingface_hub asks for in order to push and fetch a model, in memory."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repo:
    """Files by name at each commit; the last commit of each branch."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files, branch="main"):
        sha = hashlib.sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def files(self, revision):
        sha = self.branches.get(revision, revision)
        return sha, self.commits.get(sha)


class Hub:
    """The server; ``token`` is the only one that may read private repositories and write.

    ``instead`` holds, by a part of an address, the status and the answer that are given instead; ``soon``, by name, the
    files that somebody commits once the repository has been looked at.
    """

    def __init__(self, token):
        self.token, self.repos, self.asked, self.announced = token, {}, [], {}
        self.instead, self.soon = {}, {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, files, private=False):
        self.repos[name] = Repo(private)
        return self.repos[name].commit(files)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def downloads(self):
        return [path for method, path in self.asked if "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self):
        self.hub.asked.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        for part, (status, answer) in self.hub.instead.items():
            if part in path:
                return self.say(answer, status)
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            return self.say({})
        for pattern, answer in (
            (r"/api/models/(\w+/[\w.-]+)(?:/revision/(.+))?", self.info),
            (r"/api/models/(\w+/[\w.-]+)/tree/(.+)", self.tree),
            (r"/api/models/(\w+/[\w.-]+)/preupload/(.+)", self.preupload),
            (r"/api/models/(\w+/[\w.-]+)/commit/(.+)", self.commit),
            (r"/api/models/(\w+/[\w.-]+)/branch/(.+)", self.branch),
            (r"/(\w+/[\w.-]+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            if found := re.fullmatch(pattern, path):
                name, revision, *rest = found.groups()
                repo = self.hub.repos.get(name)
                if repo is None or (repo.private and not self.allowed()):
                    return self.say({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
                if answer in (self.preupload, self.commit, self.branch):
                    return answer(name, repo, revision, body) if self.allowed() else self.say({"error": "no"}, 403)
                sha, files = repo.files(revision or "main")
                if files is None and (revision or rest):
                    return self.say({"error": "no revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
                return answer(name, repo, sha, files or {}, *rest)
        return self.say({"error": "not found"}, 404)

    do_POST = do_HEAD = do_GET

    def allowed(self):
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def create(self, asked):
        name = f"{asked['organization']}/{asked['name']}"
        if not self.allowed():
            return self.say({"error": "Invalid username or password."}, 401)
        if name in self.hub.repos:
            return self.say({"error": "exists"}, 409)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.hub.add(name, {".gitattributes": b""}, private=private)
        return self.say({"url": f"{self.hub.address}/{name}"})

    def info(self, name, repo, sha, files):
        if name in self.hub.soon:
            repo.commit(self.hub.soon.pop(name))
        siblings = [{"rfilename": file, "size": len(content)} for file, content in files.items()]
        self.say({"id": name, "sha": sha, "private": repo.private, "siblings": siblings})

    def tree(self, name, repo, sha, files):
        self.say(
            [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in files.items()
            ]
        )

    def preupload(self, name, repo, revision, body):
        asked = [file["path"] for file in json.loads(body)["files"]]
        self.say({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]})

    def commit(self, name, repo, revision, body):
        files = dict(repo.files(revision)[1] or {})
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(files, revision)
        self.say({"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha})

    def branch(self, name, repo, revision, body):
        repo.branches.setdefault(revision, repo.branches["main"])
        self.say({})

    def resolve(self, name, repo, sha, files, file):
        content = files[file]
        size = self.hub.announced.get(file, len(content))  # what the hub says that the file has
        headers = {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Linked-Size": str(size)}
        self.say(content, 200, headers)

    def say(self, answer, status=200, headers=None):
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass
