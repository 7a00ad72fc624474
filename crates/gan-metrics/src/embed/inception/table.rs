//! Inception-v3 as a table: blocks of branches of convolutions (Szegedy et al. 2015, arXiv:1512.00567, table 1 and figures 5–7).
//!
//! This is the network of December 2015 with which FID was defined, as in TensorFlow's graph: means over windows only count
//! pixels of the image, and the last block has a maximum where the paper has a mean. Batch
//! norm and ReLU follow every convolution. The names are those of torchvision's and pytorch-fid's state dicts.

/// Side of an input image.
pub(super) const SIDE: usize = 299;
/// Number of features after the last block.
pub(super) const FEATURES: usize = 2048;
/// Outputs of the classifier: ImageNet's thousand classes and eight that are not used.
pub(super) const LOGITS: usize = 1008;

/// A part of a branch.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Conv(Conv),
    Pool(Pool),
    /// Branches over the same input, whose channels are concatenated.
    Fork(Vec<Vec<Node>>),
}

/// A convolution with batch norm and ReLU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    /// Name within its block; empty if it is the whole block.
    pub(super) name: &'static str,
    pub(super) outputs: usize,
    /// Height and width.
    pub(super) kernel: [usize; 2],
    pub(super) step: Step,
}

/// Stride and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Stride 1, and zeros around the image keep its size.
    Same,
    /// Stride 1 without padding.
    Inside,
    /// Stride 2 without padding.
    Halve,
}

/// A 3×3 window without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// Maximum with stride 2 without padding.
    MaxHalve,
    /// Maximum around each pixel.
    MaxSame,
    /// Mean around each pixel, over the pixels inside the image.
    MeanSame,
}

/// Returns the blocks with their names, in order.
pub(super) fn blocks() -> Vec<(&'static str, Vec<Node>)> {
    vec![
        ("Conv2d_1a_3x3", vec![conv("", 32, [3, 3], Step::Halve)]),
        ("Conv2d_2a_3x3", vec![conv("", 32, [3, 3], Step::Inside)]),
        ("Conv2d_2b_3x3", vec![same("", 64, [3, 3])]),
        ("MaxPool_1", vec![Node::Pool(Pool::MaxHalve)]),
        ("Conv2d_3b_1x1", vec![same("", 80, [1, 1])]),
        ("Conv2d_4a_3x3", vec![conv("", 192, [3, 3], Step::Inside)]),
        ("MaxPool_2", vec![Node::Pool(Pool::MaxHalve)]),
        ("Mixed_5b", fives(32)),
        ("Mixed_5c", fives(64)),
        ("Mixed_5d", fives(64)),
        ("Mixed_6a", to_seventeen()),
        ("Mixed_6b", sevens(128)),
        ("Mixed_6c", sevens(160)),
        ("Mixed_6d", sevens(160)),
        ("Mixed_6e", sevens(192)),
        ("Mixed_7a", to_eight()),
        ("Mixed_7b", forks(Pool::MeanSame)),
        ("Mixed_7c", forks(Pool::MaxSame)),
    ]
}

fn conv(name: &'static str, outputs: usize, kernel: [usize; 2], step: Step) -> Node {
    Node::Conv(Conv { name, outputs, kernel, step })
}

fn same(name: &'static str, outputs: usize, kernel: [usize; 2]) -> Node {
    conv(name, outputs, kernel, Step::Same)
}

/// Returns a block of 35×35, the paper's figure 5 but for the 5×5 window: `[C, 35, 35] -> [224 + pool, 35, 35]`.
fn fives(pool: usize) -> Vec<Node> {
    vec![Node::Fork(vec![
        vec![same("branch1x1", 64, [1, 1])],
        vec![same("branch5x5_1", 48, [1, 1]), same("branch5x5_2", 64, [5, 5])],
        vec![
            same("branch3x3dbl_1", 64, [1, 1]),
            same("branch3x3dbl_2", 96, [3, 3]),
            same("branch3x3dbl_3", 96, [3, 3]),
        ],
        vec![Node::Pool(Pool::MeanSame), same("branch_pool", pool, [1, 1])],
    ])]
}

/// Returns the reduction to 17×17: `[288, 35, 35] -> [768, 17, 17]`.
fn to_seventeen() -> Vec<Node> {
    vec![Node::Fork(vec![
        vec![conv("branch3x3", 384, [3, 3], Step::Halve)],
        vec![
            same("branch3x3dbl_1", 64, [1, 1]),
            same("branch3x3dbl_2", 96, [3, 3]),
            conv("branch3x3dbl_3", 96, [3, 3], Step::Halve),
        ],
        vec![Node::Pool(Pool::MaxHalve)],
    ])]
}

/// Returns a block of 17×17, figure 6 with n = 7 over `inner` channels: `[768, 17, 17] -> [768, 17, 17]`.
fn sevens(inner: usize) -> Vec<Node> {
    let across = [1, 7];
    let down = [7, 1];
    vec![Node::Fork(vec![
        vec![same("branch1x1", 192, [1, 1])],
        vec![same("branch7x7_1", inner, [1, 1]), same("branch7x7_2", inner, across), same("branch7x7_3", 192, down)],
        vec![
            same("branch7x7dbl_1", inner, [1, 1]),
            same("branch7x7dbl_2", inner, down),
            same("branch7x7dbl_3", inner, across),
            same("branch7x7dbl_4", inner, down),
            same("branch7x7dbl_5", 192, across),
        ],
        vec![Node::Pool(Pool::MeanSame), same("branch_pool", 192, [1, 1])],
    ])]
}

/// Returns the reduction to 8×8: `[768, 17, 17] -> [1280, 8, 8]`.
fn to_eight() -> Vec<Node> {
    vec![Node::Fork(vec![
        vec![same("branch3x3_1", 192, [1, 1]), conv("branch3x3_2", 320, [3, 3], Step::Halve)],
        vec![
            same("branch7x7x3_1", 192, [1, 1]),
            same("branch7x7x3_2", 192, [1, 7]),
            same("branch7x7x3_3", 192, [7, 1]),
            conv("branch7x7x3_4", 192, [3, 3], Step::Halve),
        ],
        vec![Node::Pool(Pool::MaxHalve)],
    ])]
}

/// Returns a block of 8×8, figure 7: `[C, 8, 8] -> [2048, 8, 8]`.
fn forks(pool: Pool) -> Vec<Node> {
    let fork = |across, down| Node::Fork(vec![vec![same(across, 384, [1, 3])], vec![same(down, 384, [3, 1])]]);
    vec![Node::Fork(vec![
        vec![same("branch1x1", 320, [1, 1])],
        vec![same("branch3x3_1", 384, [1, 1]), fork("branch3x3_2a", "branch3x3_2b")],
        vec![
            same("branch3x3dbl_1", 448, [1, 1]),
            same("branch3x3dbl_2", 384, [3, 3]),
            fork("branch3x3dbl_3a", "branch3x3dbl_3b"),
        ],
        vec![Node::Pool(pool), same("branch_pool", 192, [1, 1])],
    ])]
}
