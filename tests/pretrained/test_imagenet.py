"""The start from torchvision's ImageNet weights, against a ResNet written in PyTorch."""

import keras
import numpy as np
import pytest
from backends import import_or_skip
from loopback_hub import LoopbackHub, run_client

import keras_tdn
from keras_tdn.pretrained.imagenet import IMAGENET_FILES, load_imagenet
from keras_tdn.pretrained.preset_files import HubFile

torch = import_or_skip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")
save, save_file = safetensors_torch.save, safetensors_torch.save_file

DEPTHS = (2, 1, 2, 1)
WIDTH = 8
SIZE = 64
# Float32 through 20 convolutions in another order of operations.
ROUNDING = 2e-5


class Bottleneck(torch.nn.Module):
    def __init__(self, inputs, width, stride, project):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.conv2 = torch.nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(width)
        self.conv3 = torch.nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = torch.nn.BatchNorm2d(4 * width)
        if project:
            self.downsample = torch.nn.Sequential(
                torch.nn.Conv2d(inputs, 4 * width, 1, stride, bias=False),
                torch.nn.BatchNorm2d(4 * width),
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(torch.nn.Module):
    """ResNet v1.5 with torchvision's names."""

    def __init__(self, depths=DEPTHS, width=WIDTH):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        inputs = width
        for stage, depth in enumerate(depths):
            inner = width * 2**stage
            blocks = []
            for block in range(depth):
                stride = 2 if stage and not block else 1
                blocks.append(Bottleneck(inputs, inner, stride, project=block == 0))
                inputs = 4 * inner
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.fc = torch.nn.Linear(inputs, 1000)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.nn.functional.max_pool2d(x, 3, 2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def random_resnet(*arguments):
    torch.manual_seed(0)
    net = ResNet(*arguments).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return net


@pytest.fixture(scope="module")
def resnet():
    return random_resnet()


@pytest.fixture(scope="module")
def resnet_file(resnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("imagenet") / "model.safetensors"
    save_file(resnet.state_dict(), path)
    return path


def tdn(**arguments):
    arguments = {"width": WIDTH, "classes": 3, "num_segments": 2, **arguments}
    return keras_tdn.TDNResNet(DEPTHS, **arguments)


PLAIN = {"short_term": False, "long_term": False, "temporal_shift": False}


def test_appearance_path_computes_what_the_resnet_computes(resnet, resnet_file):
    model = tdn(include_top=False, num_segments=1, frames_per_segment=1, **PLAIN)
    load_imagenet(model, resnet_file)
    pictures = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), "uint8")
    normalised = (pictures / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        inputs = torch.from_numpy(normalised.astype("float32").transpose(0, 3, 1, 2))
        expected = resnet(inputs).numpy().transpose(0, 2, 3, 1)
    features = keras.ops.convert_to_numpy(model(pictures[:, None]))[:, 0]
    assert features.shape == expected.shape == (2, 2, 2, 256)
    np.testing.assert_allclose(features, expected, rtol=0, atol=ROUNDING * expected.max())


def values(model):
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}


def test_motion_path_starts_from_the_appearance_path_and_the_rest_stays(resnet, resnet_file):
    model = tdn()
    before = values(model)
    load_imagenet(model, str(resnet_file))
    after = values(model)

    stem = resnet.conv1.weight.detach().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(after["stem_conv/kernel"], stem)
    motion = after["short_term_tdm/conv/kernel"]
    assert motion.shape == (7, 7, 12, WIDTH)
    for channel in range(12):
        np.testing.assert_allclose(motion[:, :, channel], stem.mean(axis=2), rtol=0, atol=1e-8)

    copies = [path for path in after if path.startswith("motion_stage1_")]
    assert len(copies) == 5 * (3 * DEPTHS[0] + 1)
    for path in copies:
        np.testing.assert_array_equal(after[path], after[path.removeprefix("motion_")])
    kept = [path for path in after if "_tdm/" in path or "shift" in path or "classifier" in path]
    kept.remove("short_term_tdm/conv/kernel")
    assert sum("short_term_tdm/norm" in path for path in kept) == 4
    for path in after:
        assert np.array_equal(after[path], before[path]) == (path in kept), path


@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("switch", [None, "short_term", "long_term", "temporal_shift"])
def test_every_variant_is_filled(resnet, resnet_file, include_top, switch):
    model = tdn(include_top=include_top, **({switch: False} if switch else {}))
    load_imagenet(model, resnet_file)
    kernel = keras.ops.convert_to_numpy(model.get_layer("stage4_block0_conv3").kernel)
    expected = resnet.layer4[0].conv3.weight.detach().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, expected)


def test_other_numbers_of_frames_get_as_many_motion_channels(resnet_file):
    model = tdn(frames_per_segment=3)
    load_imagenet(model, resnet_file)
    assert model.get_layer("short_term_tdm").conv.kernel.shape == (7, 7, 6, WIDTH)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read(resnet, tmp_path, dtype):
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in resnet.state_dict().items()
    }
    save_file(state, tmp_path / "model.safetensors")
    model = tdn(**PLAIN)
    load_imagenet(model, tmp_path / "model.safetensors")
    expected = state["bn1.weight"].float().numpy()
    np.testing.assert_array_equal(values(model)["stem_norm/gamma"], expected)


@pytest.mark.parametrize("arguments", [((2, 2, 2, 1), WIDTH), (DEPTHS, 16)])
def test_another_depth_or_width_is_refused(resnet_file, arguments):
    depths, width = arguments
    model = keras_tdn.TDNResNet(depths, width=width, **PLAIN)
    with pytest.raises(ValueError, match=r"stage depths \(2, 1, 2, 1\) and width 8, the model has"):
        load_imagenet(model, resnet_file)


def test_a_shallower_model_takes_the_first_blocks_and_says_so(resnet_file):
    deep, shallow = tdn(), keras_tdn.TDNResNet((1, 1, 1, 1), width=WIDTH, classes=3, num_segments=2)
    load_imagenet(deep, resnet_file)
    with pytest.warns(UserWarning, match=r"\(2, 1, 2, 1\).*\(1, 1, 1, 1\), takes the first blocks"):
        load_imagenet(shallow, resnet_file)
    theirs = values(deep)
    same = ("stem_", "stage", "motion_stage1_")
    for path, value in values(shallow).items():
        if path.startswith(same) and "long_term_tdm" not in path and "temporal_shift" not in path:
            np.testing.assert_array_equal(value, theirs[path], err_msg=path)


def test_missing_left_over_and_misshapen_tensors_are_listed(resnet, tmp_path):
    state = dict(resnet.state_dict())
    state["layer1.0.se.weight"] = torch.zeros(1)
    state["bn1.weight"] = torch.zeros(3)
    state["layer2.0.bn1.bias"] = torch.full_like(state["layer2.0.bn1.bias"], torch.nan)
    del state["layer1.0.bn2.running_mean"]
    save_file(state, tmp_path / "model.safetensors")
    model = tdn()
    before = values(model)
    with pytest.raises(ValueError, match="no variable was changed") as error:
        load_imagenet(model, tmp_path / "model.safetensors")
    for text in (
        "missing from the file (1): layer1.0.bn2.running_mean",
        "left over (the model has no place for them) (1): layer1.0.se.weight",
        "of another shape (1): bn1.weight (3,), the model needs (8,)",
        "not finite (1): layer2.0.bn1.bias",
    ):
        assert text in str(error.value)
    for path, value in values(model).items():
        np.testing.assert_array_equal(value, before[path])


def test_files_of_something_else_are_refused(tmp_path):
    model = tdn()
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="is not a safetensors file that NumPy can hold"):
        load_imagenet(model, path)
    save_file({"encoder.weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"holds no ResNet.*Received 1 names: encoder.weight"):
        load_imagenet(model, path)


def test_no_download_for_other_architectures():
    with pytest.raises(ValueError, match=r"Use TDNResNet50 or TDNResNet101, or pass the path"):
        load_imagenet(tdn())
    with pytest.raises(ValueError, match=r"Received.*width=16"):
        load_imagenet(keras_tdn.TDNResNet((3, 4, 6, 3), width=16, **PLAIN))


def test_catalogue_fits_the_published_models():
    names = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101"}
    assert {depths: f"timm/{name}.tv_in1k" for depths, name in names.items()} == {
        depths: file.repo for depths, file in IMAGENET_FILES.items()
    }
    # The header takes up to 100 bytes for each of the 320 tensors.
    state = random_resnet((3, 4, 6, 3), 64).state_dict()
    size = sum(tensor.nbytes for tensor in state.values())
    assert 0 < IMAGENET_FILES[3, 4, 6, 3].size - size < 100 * len(state)


CLIENT = """
import keras, time
import keras_tdn
from keras_tdn.pretrained.preset_files import HubFile
from keras_tdn.pretrained import imagenet
from keras_tdn.pretrained.imagenet import load_imagenet
time.sleep = lambda seconds: None
model = keras_tdn.TDNResNet({depths}, width={width}, num_segments=2)
imagenet.IMAGENET_FILES = {{{depths}: {file!r}, **imagenet.IMAGENET_FILES}}
imagenet.IMAGENET_WIDTH = {width}
load_imagenet(model)
imagenet.IMAGENET_WIDTH = 64
print(float(keras.ops.sum(model.get_layer("stem_conv").kernel)))
try:
    load_imagenet(keras_tdn.TDNResNet50(short_term=False, long_term=False))
except ValueError as error:
    print(error)
"""


def test_weights_come_from_the_hub(resnet, tmp_path):
    file = HubFile("org/resnet", "model.safetensors")
    code = CLIENT.format(depths=DEPTHS, width=WIDTH, file=file)
    with LoopbackHub({"org/resnet/model.safetensors": save(resnet.state_dict())}) as hub:
        result = run_client(code, hub.url, tmp_path)
    assert result.returncode == 0, result.stderr
    total, refused = result.stdout.splitlines()
    assert float(total) == pytest.approx(resnet.conv1.weight.detach().sum().item(), abs=1e-4)
    pinned = IMAGENET_FILES[3, 4, 6, 3]
    assert f"'{pinned.repo}@{pinned.revision}/model.safetensors' (102 MB)" in refused
    assert any(f"/{pinned.repo}/resolve/{pinned.revision}/" in line for line in hub.requests)
