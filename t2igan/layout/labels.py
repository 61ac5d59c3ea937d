"""The labels of COCO-Stuff (Caesar et al., CVPR 2018), as in its ``labels.txt``, in the order of their ids."""

from dataclasses import dataclass

VOID = 255
"""Value of an unlabelled pixel in a label map."""
NO_SEGMENT = 0
"""Value of a pixel without a segment in an instance map."""
MOST_SEGMENTS = 255
"""Of an image: instance maps are bytes."""

# Ids 1 to 91; eleven of them were never annotated (street-sign, hat, shoe, ...).
_THINGS = """
person bicycle car motorcycle airplane bus train truck boat traffic-light fire-hydrant street-sign stop-sign
parking-meter bench bird cat dog horse sheep cow elephant bear zebra giraffe hat backpack umbrella shoe eye-glasses
handbag tie suitcase frisbee skis snowboard sports-ball kite baseball-bat baseball-glove skateboard surfboard
tennis-racket bottle plate wine-glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot-dog
pizza donut cake chair couch potted-plant bed mirror dining-table window desk toilet door tv laptop mouse remote
keyboard cell-phone microwave oven toaster sink refrigerator blender book clock vase scissors teddy-bear hair-drier
toothbrush hair-brush
"""
# Ids 92 to 182.
_STUFF = """
banner blanket branch bridge building-other bush cabinet cage cardboard carpet ceiling-other ceiling-tile cloth
clothes clouds counter cupboard curtain desk-stuff dirt door-stuff fence floor-marble floor-other floor-stone
floor-tile floor-wood flower fog food-other fruit furniture-other grass gravel ground-other hill house leaves light
mat metal mirror-stuff moss mountain mud napkin net paper pavement pillow plant-other plastic platform playingfield
railing railroad river road rock roof rug salad sand sea shelf sky-other skyscraper snow solid-other stairs stone
straw structural-other table tent textile-other towel tree vegetable wall-brick wall-concrete wall-other wall-panel
wall-stone wall-tile wall-wood water-other waterdrops window-blind window-other wood
"""


@dataclass(frozen=True)
class LabelSet:
    """Names of labels. A label map holds ``id - 1`` in each pixel, and 255 for no label.

    Attributes:
        names: names of the labels, by their value in a map.
        things: number of things, which come first; the others are stuff.
    """

    names: tuple[str, ...]
    things: int

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def value(self, name: str) -> int:
        """The pixel value of a label.

        Raises:
            ValueError: the label does not exist.
        """
        return self.names.index(name)

    def is_thing(self, value: int) -> bool:
        """Whether a pixel value is the label of a thing; False for void."""
        return value < self.things


COCO_STUFF = LabelSet((*_THINGS.split(), *_STUFF.split()), len(_THINGS.split()))
