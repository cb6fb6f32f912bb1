"""`tiller steer import`: published `.pt` vectors become one of our vectors files, to steer with by `--vectors-file`."""

from __future__ import annotations

import hashlib

from engine.steering.settings import ImportSettings
from engine.store import note_artifact, save_tensors
from engine.workspace import find_workspace


def run(settings: ImportSettings) -> str:
    from engine.steering.imports import content_hash, files_of, read_published

    workspace = find_workspace()
    files = files_of(settings.paths)
    vectors = read_published(files, settings.site, settings.layer)
    key = f"imported-{content_hash(vectors)}"
    path = workspace.vectors / f"{key}.safetensors"
    name = workspace.relative(path)
    sites = sorted(vectors)
    layers = sorted({site.layer for site in sites})
    width = len(vectors[sites[0]])
    there = path.is_file()
    if not there:
        header = {
            "step": settings.step,
            "version": settings.VERSION,
            "files": [{"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} for file in files],
            "layers": layers[-1] + 1,
            "hidden_size": width,
            "norms": {site.name: float(vectors[site].double().norm()) for site in sites},
            "shuffled": 0,
        }
        save_tensors(path, {site.name: vectors[site] for site in sites}, header)
    note_artifact(workspace, path, "vectors", key)
    kinds = " and ".join(dict.fromkeys(site.kind for site in sites))
    span = f"layer {layers[0]}" if len(layers) == 1 else f"{len(layers)} layers from {layers[0]} to {layers[-1]}"
    what = f"{len(vectors)} vector{'s' if len(vectors) > 1 else ''} of width {width} ({kinds}, {span})"
    site = f" --site {'sublayers' if len({site.kind for site in sites}) > 1 else sites[0].kind}" if kinds != "stream" else ""
    use = f"tiller steer apply --vectors-file {name}{site} --layer {layers[0] if len(layers) == 1 else 'L'}"
    return f"import: {what} {'already there:' if there else '→'} {name}\nto steer with: {use}"
