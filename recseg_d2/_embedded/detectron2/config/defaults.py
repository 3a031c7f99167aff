"""The keys that this subset reads, with Detectron2's names and values.

Sizes are in pixels, lengths of training in iterations. Keys of what is not here (detectors, crops,
test-time augmentation ...) are absent on purpose: a file that sets them is refused by name instead
of being trained without what it asks for.
"""

from .config import CfgNode as CN

_C = CN()
_C.VERSION = 2
_C.OUTPUT_DIR = "./output"
_C.SEED = -1  # negative draws one
_C.CUDNN_BENCHMARK = False

_C.MODEL = CN()
_C.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
_C.MODEL.WEIGHTS = ""
_C.MODEL.DEVICE = "cuda"
_C.MODEL.MASK_ON = False
_C.MODEL.PIXEL_MEAN = [103.530, 116.280, 123.675]  # of ImageNet, in the order of INPUT.FORMAT
_C.MODEL.PIXEL_STD = [1.0, 1.0, 1.0]  # 1: the weights of MSRA's ResNets hold it already

_C.MODEL.BACKBONE = CN()
_C.MODEL.BACKBONE.NAME = "build_resnet_backbone"
_C.MODEL.BACKBONE.FREEZE_AT = 2  # stages that are not trained: 1 is the stem, 2 also res2, ...

_C.MODEL.RESNETS = CN()
_C.MODEL.RESNETS.DEPTH = 50
_C.MODEL.RESNETS.OUT_FEATURES = ["res4"]
_C.MODEL.RESNETS.NORM = "FrozenBN"  # "", "BN", "SyncBN", "FrozenBN" or "GN"
_C.MODEL.RESNETS.STRIDE_IN_1X1 = True  # False for torchvision's weights
_C.MODEL.RESNETS.RES2_OUT_CHANNELS = 256  # 64 for depths 18 and 34
_C.MODEL.RESNETS.STEM_OUT_CHANNELS = 64

_C.INPUT = CN()
_C.INPUT.MIN_SIZE_TRAIN = (800,)
_C.INPUT.MIN_SIZE_TRAIN_SAMPLING = "choice"  # or "range"
_C.INPUT.MAX_SIZE_TRAIN = 1333
_C.INPUT.MIN_SIZE_TEST = 800  # 0 leaves images as they are
_C.INPUT.MAX_SIZE_TEST = 1333
_C.INPUT.RANDOM_FLIP = "horizontal"  # or "vertical" or "none"
_C.INPUT.FORMAT = "BGR"  # or a mode of Pillow
_C.INPUT.MASK_FORMAT = "polygon"  # or "bitmask"

_C.DATASETS = CN()
_C.DATASETS.TRAIN = ()
_C.DATASETS.TEST = ()
_C.DATASETS.PROPOSAL_FILES_TRAIN = ()  # one for each data set, or none
_C.DATASETS.PROPOSAL_FILES_TEST = ()
_C.DATASETS.PRECOMPUTED_PROPOSAL_TOPK_TRAIN = 2000  # proposals an image
_C.DATASETS.PRECOMPUTED_PROPOSAL_TOPK_TEST = 1000

_C.DATALOADER = CN()
_C.DATALOADER.NUM_WORKERS = 4
_C.DATALOADER.ASPECT_RATIO_GROUPING = True  # has to be set to False: there is none here
_C.DATALOADER.SAMPLER_TRAIN = "TrainingSampler"  # the only one here
_C.DATALOADER.FILTER_EMPTY_ANNOTATIONS = True

_C.SOLVER = CN()
_C.SOLVER.LR_SCHEDULER_NAME = "WarmupMultiStepLR"
_C.SOLVER.MAX_ITER = 40000
_C.SOLVER.BASE_LR = 0.001
_C.SOLVER.BASE_LR_END = 0.0  # of WarmupCosineLR
_C.SOLVER.MOMENTUM = 0.9
_C.SOLVER.NESTEROV = False
_C.SOLVER.WEIGHT_DECAY = 0.0001
_C.SOLVER.WEIGHT_DECAY_NORM = 0.0
_C.SOLVER.WEIGHT_DECAY_BIAS = None  # None is WEIGHT_DECAY
_C.SOLVER.BIAS_LR_FACTOR = 1.0
_C.SOLVER.GAMMA = 0.1
_C.SOLVER.STEPS = (30000,)
_C.SOLVER.NUM_DECAYS = 3  # of WarmupStepWithFixedGammaLR
_C.SOLVER.WARMUP_FACTOR = 1.0 / 1000
_C.SOLVER.WARMUP_ITERS = 1000
_C.SOLVER.WARMUP_METHOD = "linear"
_C.SOLVER.RESCALE_INTERVAL = False
_C.SOLVER.CHECKPOINT_PERIOD = 5000
_C.SOLVER.IMS_PER_BATCH = 16  # over all processes
_C.SOLVER.CLIP_GRADIENTS = CN({"ENABLED": False})
_C.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = "value"  # or "norm"
_C.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = 1.0
_C.SOLVER.CLIP_GRADIENTS.NORM_TYPE = 2.0
_C.SOLVER.AMP = CN({"ENABLED": False})

_C.TEST = CN()
_C.TEST.EXPECTED_RESULTS = []  # [task, metric, value, tolerance] each
_C.TEST.EVAL_PERIOD = 0  # 0 evaluates at the end only
_C.TEST.DETECTIONS_PER_IMAGE = 100  # the most that is kept of an image
