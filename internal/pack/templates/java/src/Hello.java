/** Greets, and leaves a file behind. */
public class Hello {
    public static void main(String[] args) throws Exception {
        String name = System.getenv().getOrDefault("NAME", "world");
        System.out.println("Hello, " + name + "!");
        String out = System.getenv("LOCAL_JOB_OUT_DIR");
        if (out != null) {
            try (java.io.FileWriter w = new java.io.FileWriter(new java.io.File(out, "greeting.txt"))) {
                w.write("Hello, " + name + "!\n");
            }
        }
    }
}
