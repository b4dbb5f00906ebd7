import java.io.File;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.creds.BasicMlflowHostCreds;

/** What a training program does with MLflow's Java client, which reads no token from the environment. */
class Tracking {
    /** URL TOKEN EXPERIMENT FILE: logs to a new run; prints the metric as it comes back, and where the file lies. */
    public static void main(String[] given) throws Exception {
        try (var client = new MlflowClient(new BasicMlflowHostCreds(given[0], given[1]))) {
            var run = client.createRun(client.createExperiment(given[2])).getRunId();
            client.logParam(run, "depth", "3");
            client.logMetric(run, "accuracy", 0.5);
            client.setTag(run, "purpose", "scenario");
            var file = new File(given[3]);
            client.logArtifact(run, file);
            client.setTerminated(run);
            var found = client.getRun(run);
            System.out.println(run);
            System.out.println(found.getData().getMetrics(0).getValue());
            System.out.println(found.getInfo().getArtifactUri() + "/" + file.getName());
        }
    }
}
