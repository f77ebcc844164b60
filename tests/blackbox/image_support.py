# SPDX-License-Identifier: Apache-2.0
"""Container images made by hand: an OCI image layout in a folder, or an archive of one."""

import gzip
import hashlib
import io
import json
import tarfile


def member(name, content=b"", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.mode, info.size = mode, len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def link(name, target):
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def layer(*members, compress=True):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0) if compress else out.getvalue()


class Image:
    """An OCI layout in a folder; add() makes an image of layers in it."""

    def __init__(self, folder):
        self.folder, self.manifests = folder, []
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        for one in (folder, folder / "blobs", folder / "blobs" / "sha256"):
            one.chmod(0o755)

    def blob(self, content):
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    def add(self, layers, tag=None, platform=None, **config):
        whole = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/app:/bin", "FROM_IMAGE=yes"], **config}}
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(json.dumps(whole).encode()),
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **self.blob(one)} for one in layers],
        }
        entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **self.blob(json.dumps(manifest).encode())}
        if tag:
            entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
        if platform:
            entry["platform"] = platform
        self.manifests.append(entry)
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))
        return entry["digest"].split(":")[1]

    def archive(self, path):
        with tarfile.open(path, "w") as archive:
            for one in ("oci-layout", "index.json", "blobs"):
                archive.add(self.folder / one, one)
        path.chmod(0o644)
        return f"file://{path}"

    @property
    def uri(self):
        return f"file://{self.folder}"
