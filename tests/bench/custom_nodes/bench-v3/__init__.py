"""bench-v3: a pack with the V3 schema and an entry point, as new packs are."""

import torch
from comfy_api.latest import ComfyExtension, io


class BenchNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="BenchNoise",
            display_name="Noise (bench)",
            category="bench",
            description="Adds noise that depends on the seed alone.",
            inputs=[
                io.Image.Input("image"),
                io.Float.Input("amount", default=0.1, min=0.0, max=1.0, step=0.01),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True),
                io.Combo.Input("kind", options=["uniform", "grain"], default="uniform"),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, amount, seed, kind):
        generator = torch.Generator().manual_seed(seed)
        shape = image.shape if kind == "uniform" else (*image.shape[:-1], 1)
        noise = torch.rand(shape, generator=generator).to(image.device) - 0.5
        return io.NodeOutput((image + noise * amount).clamp(0.0, 1.0))


class BenchV3(ComfyExtension):
    async def get_node_list(self):
        return [BenchNoise]


async def comfy_entrypoint():
    return BenchV3()
