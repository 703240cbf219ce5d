"""bench-text: text as a value, and text as an output."""


class BenchDescribe:
    CATEGORY = "bench"
    RETURN_TYPES = ("STRING",)
    FUNCTION = "describe"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "template": ("STRING", {"default": "{width}x{height}, {count} picture(s)", "multiline": True}),
            }
        }

    def describe(self, image, template):
        count, height, width, _ = image.shape
        return (template.format(width=width, height=height, count=count),)


class BenchShowText:
    CATEGORY = "bench"
    RETURN_TYPES = ("STRING",)
    FUNCTION = "show"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": "", "multiline": True})}}

    def show(self, text):
        return {"ui": {"text": [text]}, "result": (text,)}


NODE_CLASS_MAPPINGS = {"BenchDescribe": BenchDescribe, "BenchShowText": BenchShowText}
NODE_DISPLAY_NAME_MAPPINGS = {"BenchDescribe": "Describe (bench)", "BenchShowText": "Show text (bench)"}
